"""Splitting a data set: by ratio and seed, stratified by class, with groups and duplicates in one split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from ...utils.errors import UserError
from .finding import plain_path
from .samples import SPLITS, Item, Remarks


def group_items(items: Sequence[Item], hashes: Sequence[str], pattern: str | None) -> list[int]:
    """Return a number for each image; images of the same content, and those of one group, have the same.

    Args:
        items: The images.
        hashes: Hash of the content of each.
        pattern: Regular expression whose first group, found in the name, is the name of the group.

    Raises:
        UserError: the pattern is wrong or is found in no name.
    """
    parents = list(range(len(items)))

    def find(row: int) -> int:
        while parents[row] != row:
            row = parents[row]
        return row

    first: dict[Hashable, int] = {}
    matched = False
    for row, (item, content) in enumerate(zip(items, hashes, strict=True)):
        keys: list[Hashable] = [('content', content)]
        if pattern is not None:
            try:
                found = re.search(pattern, item.name)
            except re.error as error:
                raise UserError(f'group_by {pattern!r} is not a regular expression: {error}') from error
            if found:
                matched = True
                keys.append(('group', found.group(1) if found.re.groups else found.group()))
        for key in keys:
            parents[find(row)] = find(first.setdefault(key, row))
    if pattern is not None and not matched:
        raise UserError(f'group_by {pattern!r} is found in no name; the first name is {items[0].name}')
    return [find(row) for row in range(len(items))]


def draw_splits(
    labels: Sequence[Sequence[str]], groups: Sequence[int], ratios: dict[str, float], seed: int
) -> list[str]:
    """Choose a split for each image, so that each split has its share of every class.

    The iterative stratification of Sechidis et al., 2011, with whole groups: the class with the fewest images left is
    dealt out first, each group to the split that lacks most of it.

    Args:
        labels: Classes of each image.
        groups: Number of the group of each image.
        ratios: Share of each split; they sum to 1.
        seed: Decides between equals.
    """
    generator = np.random.default_rng(seed)
    rows_of: dict[int, list[int]] = {}
    for row, group in enumerate(groups):
        rows_of.setdefault(group, []).append(row)
    # An image without an object counts as a class too, so that background is shared out.
    classes = {group: Counter(c for row in rows for c in set(labels[row]) or {''}) for group, rows in rows_of.items()}
    totals: Counter[str] = sum(classes.values(), Counter())
    names = [name for name, ratio in ratios.items() if ratio > 0]
    wanted = {name: {label: ratios[name] * count for label, count in totals.items()} for name in names}
    room = {name: ratios[name] * len(labels) for name in names}
    left = list(rows_of)
    generator.shuffle(left)
    result: dict[int, str] = {}
    while left:
        remaining: Counter[str] = sum((classes[group] for group in left), Counter())
        rarest = min(remaining, key=lambda label: (remaining[label], label))
        # Large groups first: small ones fill what is left.
        dealt = sorted((g for g in left if rarest in classes[g]), key=lambda group: -classes[group][rarest])
        for group in dealt:
            split = max(names, key=lambda name: (wanted[name][rarest], room[name]))
            result[group] = split
            room[split] -= len(rows_of[group])
            for label, count in classes[group].items():
                wanted[split][label] -= count
        chosen = set(dealt)
        left = [group for group in left if group not in chosen]
    return [result[group] for group in groups]


def read_names(file: Path) -> set[str]:
    """Return the names of a list of images, one a line.

    Raises:
        UserError: the file cannot be read or is empty.
    """
    try:
        names = {plain_path(line.strip()) for line in file.read_text('utf-8-sig').splitlines() if line.strip()}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'list {file} cannot be read: {error}') from error
    if not names:
        raise UserError(f'list {file} is empty')
    return names


def list_splits(items: Sequence[Item], lists: dict[str, Path]) -> list[str]:
    """Choose splits by lists of names, with or without folders and suffixes; what is in no list is for training.

    Raises:
        UserError: a list names an image that is not there, or two lists name the same one.
    """
    result = ['train'] * len(items)
    for split, file in lists.items():
        names, found = read_names(file), set()
        for row, item in enumerate(items):
            forms = {item.name, Path(item.name).name, Path(item.name).stem} & names
            if forms and result[row] != 'train':
                raise UserError(f'{item.name} is in the lists of {result[row]} and {split}')
            if forms:
                found |= forms
                result[row] = split
        if missing := sorted(names - found):
            raise UserError(f'list {file} names {missing[0]}, which is not among the images')
    return result


def separate_duplicates(
    items: Sequence[Item], splits: Sequence[str], hashes: Sequence[str], remarks: Remarks
) -> list[bool]:
    """Return which images to keep: of the same content in several splits, those of the later split.

    An evaluation must not see what was trained on, and its images are the fewer ones.
    """
    latest: dict[str, str] = {}
    for split, content in zip(splits, hashes, strict=True):
        latest[content] = max(latest.get(content, split), split, key=SPLITS.index)
    kept = []
    for item, split, content in zip(items, splits, hashes, strict=True):
        keep = split == latest[content]
        if not keep:
            remarks.add(f'image of {split} that is in {latest[content]} too, left out of {split}', item.name)
        kept.append(keep)
    return kept
