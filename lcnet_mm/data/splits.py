"""Checks of several data sets against each other: their classes, and images that are in more than one."""

from __future__ import annotations

from collections.abc import Sequence

from .files import find_same_content
from .report import DataFacts, Findings, shorten

SPLIT_NAMES = ('train', 'val', 'test')


def _rank(name: str) -> tuple[int, str]:
    return (SPLIT_NAMES.index(name) if name in SPLIT_NAMES else len(SPLIT_NAMES), name)


def check_shared(splits: Sequence[tuple[str, DataFacts]], findings: Findings, *, max_files: int | None = None) -> None:
    """Look for images of the training data among those of the other splits, and for copies in a split, by content.

    Args:
        splits: Name and facts of each data set; those of one split have the same name.
        findings: Where to report.
        max_files: With more images than that nothing is done.
    """
    names = sorted({name for name, _ in splits}, key=_rank)
    groups = [[path for name, facts in splits if name == wanted for path in facts.files] for wanted in names]
    if max_files is not None and sum(map(len, groups)) > max_files:
        return
    for group, path, first_group, first in find_same_content(groups):
        if group != first_group:
            text = f'image of {names[group]} that is also in {names[first_group]}'
            findings.add('split-shared', f'{path} = {first}', text=text)
        else:
            findings.add('file-duplicate', f'{path} = {first}')


def check_same_classes(splits: Sequence[tuple[str, DataFacts]], findings: Findings) -> None:
    """Compare the classes of data sets and their order with those of the first one.

    Args:
        splits: Name and facts of each data set.
        findings: Where to report.
    """
    named = [(name, facts.classes) for name, facts in sorted(splits, key=lambda item: _rank(item[0])) if facts.classes]
    for name, classes in named[1:]:
        first, expected = named[0]
        if classes != expected:
            findings.add('config-classes', text=f'{name}: {compare_names(classes, expected, first)}')


def compare_names(classes: Sequence[str], trained: Sequence[str], of: str) -> str:
    """Say how the names of the classes differ from those that were trained."""
    if sorted(classes) == sorted(trained):
        return (
            f'classes are in another order than those of {of}, so that the labels mean other classes: '
            f'{shorten(list(classes))} instead of {shorten(list(trained))}; use one order everywhere'
        )
    different = [name for name in (*classes, *trained) if (name in classes) != (name in trained)]
    if not different:
        return f'classes differ from those of {of}: {len(classes)} instead of {len(trained)}'
    return f'classes differ from those of {of}, first in {different[0]!r}; the labels would mean other classes'
