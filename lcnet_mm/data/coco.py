"""Checks of COCO annotation files: every field that mmdet's loader and pycocotools' evaluation read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .boxes import check_boxes
from .coco_file import Entry, has_plain_encoding, read_coco
from .columns import (
    MISSING,
    find_missing,
    find_repeated,
    find_rows,
    find_types,
    get_column,
    to_boxes,
    to_numbers,
)
from .files import FileChecks, ImageFile, check_files
from .masks import check_masks
from .report import DataFacts, Findings, Report, Summary, format_counts

_WINDOWS_NAME = re.compile(r'\\|^[A-Za-z]:')
# Run lengths and polygons are rounded, and some tools count the pixels of the border.
_AREA_SLACK = 1.05


@dataclass(frozen=True)
class CocoOptions:
    """How a COCO file will be used.

    Attributes:
        classes: Class names of the config, in its order; None takes all categories of the file.
        masks: Whether masks are trained or evaluated.
        test_mode: Whether it is evaluated: nothing is filtered then.
        filter_empty: Whether training leaves out images without a box.
        min_size: Training leaves out images whose shorter side is smaller.
    """

    classes: Sequence[str] | None = None
    masks: bool = False
    test_mode: bool = False
    filter_empty: bool = False
    min_size: int = 0


def check_coco(
    ann_file: str | Path,
    img_dir: str | Path | None = None,
    classes: Sequence[str] | None = None,
    *,
    masks: bool = False,
    decode: bool = False,
    max_listed: int = 5,
) -> Report:
    """Look for everything in a COCO detection file that makes a training or an evaluation wrong.

    Args:
        ann_file: The JSON file.
        img_dir: Folder of the images; None does not look at them.
        classes: Class names of the config; None does not compare them.
        masks: Whether masks will be used, so that a faulty segmentation is an error.
        decode: Whether to decode the images and not only to read their headers.
        max_listed: Examples per finding.

    Raises:
        AnnotationError: the file cannot be read as COCO at all.
    """
    findings = Findings(str(ann_file), max_listed)
    options = CocoOptions(classes=classes, masks=masks)
    facts = inspect_coco(Path(ann_file), findings, options, img_dir, FileChecks(decode=decode))
    report = Report()
    report.add(findings, facts.summary)
    return report


def inspect_coco(
    ann_file: Path,
    findings: Findings,
    options: CocoOptions,
    img_dir: str | Path | None = None,
    file_checks: FileChecks | None = None,
) -> DataFacts:
    """Check a file and return what other checks need of it.

    Raises:
        AnnotationError: the file cannot be read as COCO at all.
    """
    content = read_coco(ann_file)
    if not has_plain_encoding(ann_file):
        findings.add('json-encoding', ann_file)
    images, annotations, categories = (
        _objects(content[key], key, findings) for key in ('images', 'annotations', 'categories')
    )
    names = _check_categories(categories, findings)
    image_rows, sizes = _check_images(images, findings)
    owner, label_ids, kept, left_out = _check_annotations(annotations, image_rows, sizes, names, options, findings)
    files = [] if img_dir is None else _image_files(images, sizes, Path(img_dir))
    # Large files: what follows needs the columns only.
    annotations.clear()
    content['annotations'] = None
    classes = [name for name in names.values() if options.classes is None or name in options.classes]
    per_class = dict.fromkeys(classes, 0)
    for category_id, count in zip(*np.unique(label_ids[kept], return_counts=True), strict=True):
        name = list(names.values())[int(category_id)]
        per_class[name] = per_class.get(name, 0) + int(count)
    _check_classes(names, per_class, options, findings)
    with_box = np.zeros(len(images), bool)
    with_box[owner[kept]] = True
    used = np.ones(len(images), bool)
    if not options.test_mode:
        small = sizes.min(1, initial=np.inf) < options.min_size
        left_out['images smaller than min_size'] = int(small.sum())
        used &= ~small
        if options.filter_empty:
            left_out['images without a box'] = int((~with_box & ~small).sum())
            used &= with_box
    findings.add_rows('image-empty', ~with_box, lambda row: _image_label(images[row]))
    if not with_box[used].any():
        findings.add('boxes-none', text=_why_no_box(len(label_ids), left_out))
    if img_dir is not None:
        check_files(files, findings, file_checks or FileChecks())
    summary = Summary(str(ann_file), 'COCO', len(images), int(used.sum()), 'boxes', dict(per_class), left_out)
    return DataFacts(summary, [file.path for file in files], classes)


def _objects(entries: list[Any], key: str, findings: Findings) -> list[Entry]:
    """Return the entries that are objects."""
    good = find_types(entries, dict)
    findings.add_rows('entry-type', ~good, lambda row: f'{key}[{row}]')
    return entries if good.all() else [entry for entry in entries if isinstance(entry, dict)]


def _check_categories(categories: list[Entry], findings: Findings) -> dict[Any, str]:
    """Return the names of the categories by id, in the order of the file."""
    ids, names = get_column(categories, 'id'), get_column(categories, 'name')

    def describe(row: int) -> str:
        return f'categories[{row}]: id {_show(ids[row])}, name {_show(names[row])}'

    usable = find_types(ids, int, str) & find_types(names, str)
    findings.add_rows('category-field', ~usable, describe)
    findings.add_rows('category-id-text', usable & find_types(ids, str), describe)
    findings.add_rows('category-id-duplicate', find_repeated(ids, usable), describe)
    findings.add_rows('category-name-duplicate', find_repeated(names, usable), describe)
    spaces = np.fromiter((type(name) is str and name != name.strip() for name in names), bool, len(names))
    findings.add_rows('category-name-space', spaces, describe)
    return {ids[row]: names[row] for row in np.flatnonzero(usable)}


def _check_images(images: list[Entry], findings: Findings) -> tuple[dict[Any, int], np.ndarray]:
    """Return the rows of the images by id, and their widths and heights ``(N, 2)``, NaN where they are unusable."""
    columns = {key: get_column(images, key) for key in ('id', 'file_name', 'width', 'height')}
    ids, names = columns['id'], columns['file_name']

    def describe(row: int) -> str:
        return _image_label(images[row])

    for key, values in columns.items():
        missing = find_missing(values)
        if missing.any():
            text = f'image without {key}'
            findings.add('image-field', *map(describe, np.flatnonzero(missing)[:5]), text=text, count=missing.sum())
    with np.errstate(invalid='ignore'):
        sizes = np.stack([to_numbers(columns['width']), to_numbers(columns['height'])], 1)
        positive = np.isfinite(sizes) & (sizes > 0)
    present = ~(find_missing(columns['width']) | find_missing(columns['height']))
    findings.add_rows(
        'image-size-type', present & ~positive.all(1), lambda row: f'{describe(row)}: {_size(images[row])}'
    )
    sizes[~positive.all(1)] = np.nan
    integers, texts = find_types(ids, int), find_types(ids, str)
    findings.add_rows('image-id-type', ~(integers | texts | find_missing(ids)), describe)
    findings.add_rows('image-id-text', texts, describe)
    findings.add_rows('image-id-duplicate', find_repeated(ids, integers | texts), lambda row: _show(ids[row]))
    _check_names(names, findings, describe)
    # As for pycocotools, the last image of an id counts.
    return {ids[row]: int(row) for row in np.flatnonzero(integers | texts)}, sizes


def _check_names(names: list[Any], findings: Findings, describe: Any) -> None:
    text = find_types(names, str)
    usable = np.fromiter((type(n) is str and bool(n.strip()) and '\0' not in n for n in names), bool, len(names))
    findings.add_rows('image-name', ~usable & ~find_missing(names), describe)
    findings.add_rows('image-name-duplicate', find_repeated(names, text), describe)
    windows = np.fromiter((type(n) is str and bool(_WINDOWS_NAME.search(n)) for n in names), bool, len(names))
    findings.add_rows('image-name-windows', windows, describe)
    absolute = np.fromiter((type(n) is str and n.startswith('/') for n in names), bool, len(names))
    findings.add_rows('image-name-absolute', absolute, describe)


def _check_annotations(
    annotations: list[Entry],
    image_rows: dict[Any, int],
    sizes: np.ndarray,
    names: dict[Any, str],
    options: CocoOptions,
    findings: Findings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    """Check annotations.

    Returns:
        The row of each annotation's image and of its category, -1 where there is none; which annotations the loader
        keeps; and how many it leaves out by reason.
    """
    ids = get_column(annotations, 'id')

    def describe(row: int) -> str:
        return f'id {_show(ids[row])}' if ids[row] is not MISSING else f'annotations[{row}]'

    missing, integers = find_missing(ids), find_types(ids, int)
    findings.add_rows('annotation-id-missing', missing, describe)
    findings.add_rows('annotation-id-type', ~missing & ~integers, describe)
    findings.add_rows('annotation-id-duplicate', find_repeated(ids, integers), describe)
    zero = np.fromiter((type(value) is int and value == 0 for value in ids), bool, len(ids))
    findings.add_rows('annotation-id-zero', zero, describe)
    owner = _check_reference(annotations, 'image', 'image_id', image_rows, findings, describe)
    category_rows = {category_id: row for row, category_id in enumerate(names)}
    label = _check_reference(annotations, 'category', 'category_id', category_rows, findings, describe)
    box_sizes = np.full((len(annotations), 2), np.nan)
    box_sizes[owner >= 0] = sizes[owner[owner >= 0]]
    values = get_column(annotations, 'bbox')
    boxes, numeric = to_boxes(values)
    absent = find_missing(values)
    findings.add_rows('box-missing', absent, describe)
    findings.add_rows('box-type', ~absent & ~numeric, describe)
    solid = check_boxes(boxes, box_sizes, findings, describe, numeric)
    positive = _check_areas(get_column(annotations, 'area'), boxes, findings, describe)
    crowd = _check_crowd(get_column(annotations, 'iscrowd'), findings, describe)
    ignored = np.fromiter((bool(value) for value in (a.get('ignore') for a in annotations)), bool, len(annotations))
    findings.add_rows('annotation-ignored', ignored, describe)
    findings.add_rows('annotation-duplicate', _find_twins(owner, label, boxes, solid), describe)
    for rule, mask in check_masks(get_column(annotations, 'segmentation'), box_sizes).items():
        severe = options.masks and rule != 'mask-outside'
        if mask.any():
            examples = map(describe, np.flatnonzero(mask)[: findings.max_listed])
            findings.add(rule, *examples, severity='error' if severe else None, count=int(mask.sum()))
    wanted = np.array([options.classes is None or name in options.classes for name in names.values()] + [False])
    steps = {
        'annotations without their image or category': (owner < 0) | (label < 0),
        'annotations of other categories': ~wanted[label],
        'annotations with "ignore"': ignored,
        'boxes without area or outside': ~solid,
        'annotations without a positive area': ~positive,
        'crowd annotations': crowd,
    }
    kept, left_out = np.ones(len(annotations), bool), {}
    for reason, mask in steps.items():
        left_out[reason] = int((kept & mask).sum())
        kept &= ~mask
    return owner, label, kept, left_out


def _check_reference(
    annotations: list[Entry], kind: str, key: str, rows: dict[Any, int], findings: Findings, describe: Any
) -> np.ndarray:
    """Return the row that each annotation refers to, -1 where there is none."""
    values = get_column(annotations, key)
    found = find_rows(values, rows)
    missing = find_missing(values)
    findings.add_rows(f'annotation-{kind}-missing', missing, describe)
    unknown = (found < 0) & ~missing
    of_other_type = np.zeros(len(values), bool)
    for row in np.flatnonzero(unknown):
        of_other_type[row] = type(values[row]) in (int, str) and _other_type(values[row]) in rows
    findings.add_rows(f'annotation-{kind}-type', of_other_type, lambda row: f'{describe(row)}: {_show(values[row])}')
    unknown &= ~of_other_type
    findings.add_rows(f'annotation-{kind}-unknown', unknown, lambda row: f'{describe(row)}: {key} {_show(values[row])}')
    return found


def _other_type(value: int | str) -> int | str | None:
    """Return a number for text and text for a number; None where the text is not a number."""
    if isinstance(value, int):
        return str(value)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None


def _check_areas(values: list[Any], boxes: np.ndarray, findings: Findings, describe: Any) -> np.ndarray:
    """Return which annotations have an area that the loader keeps."""
    areas, missing = to_numbers(values), find_missing(values)
    findings.add_rows('area-missing', missing, describe)
    findings.add_rows('area-type', ~missing & ~np.isfinite(areas), lambda row: f'{describe(row)}: {_show(values[row])}')
    with np.errstate(invalid='ignore', over='ignore'):
        findings.add_rows('area-empty', areas <= 0, describe, len(areas))
        larger = np.isfinite(areas) & (areas > boxes[:, 2] * boxes[:, 3] * _AREA_SLACK + boxes[:, 2] + boxes[:, 3])
        findings.add_rows('area-larger-than-box', larger & (boxes[:, 2:] > 0).all(1), describe)
        return np.asarray(areas > 0)


def _check_crowd(values: list[Any], findings: Findings, describe: Any) -> np.ndarray:
    """Return which annotations are crowds for the loader: it takes any value that is true."""
    missing = find_missing(values)
    findings.add_rows('iscrowd-missing', missing, describe)
    good = find_types(values, int, bool, float) & np.isin(
        to_numbers([v + 0 if type(v) is bool else v for v in values]), (0, 1)
    )
    findings.add_rows('iscrowd-type', ~missing & ~good, lambda row: f'{describe(row)}: {_show(values[row])}')
    crowd = np.fromiter((value is not MISSING and bool(value) for value in values), bool, len(values))
    findings.add_rows('annotation-crowd', crowd, describe)
    return crowd


def _find_twins(owner: np.ndarray, label: np.ndarray, boxes: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Mark the second and later box of the same image, category and place."""
    rows = np.flatnonzero(valid & (owner >= 0) & (label >= 0))
    keys = np.column_stack([owner[rows], label[rows], boxes[rows]])
    order = np.lexsort(keys.T)
    same = (keys[order][1:] == keys[order][:-1]).all(1)
    twins = np.zeros(len(owner), bool)
    twins[rows[order[1:][same]]] = True
    return twins


def _check_classes(names: dict[Any, str], per_class: dict[str, int], options: CocoOptions, findings: Findings) -> None:
    for name in options.classes or ():
        if name not in names.values():
            text = (
                f'class of the config that is no category of the file, whose categories are {list(names.values())[:10]}'
            )
            findings.add('config-classes', name, text=text)
    for name in names.values():
        if options.classes is not None and name not in options.classes:
            findings.add('config-classes-left-out', name)
    for name, count in per_class.items():
        if not count:
            findings.add('category-unused', name)


def _why_no_box(annotations: int, left_out: dict[str, int]) -> str:
    if not annotations:
        return 'no annotation: no image has a box'
    return f'no box is left for the loader; left out are {format_counts(left_out)}'


def _image_files(images: list[Entry], sizes: np.ndarray, folder: Path) -> list[ImageFile]:
    """Return the files of all images with a usable name, as the loader joins them."""
    return [
        ImageFile(folder / entry['file_name'], None if np.isnan(size).any() else (int(size[0]), int(size[1])))
        for entry, size in zip(images, sizes, strict=True)
        if type(entry.get('file_name')) is str and '\0' not in entry['file_name'] and entry['file_name'].strip()
    ]


def _image_label(entry: Entry) -> str:
    name = entry.get('file_name')
    return name if isinstance(name, str) and name.strip() else f'image id {_show(entry.get("id"))}'


def _size(entry: Entry) -> str:
    return f'{_show(entry.get("width"))}x{_show(entry.get("height"))}'


def _show(value: Any) -> str:
    """Return a value of the file as it stands there."""
    return 'missing' if value is MISSING else f'"{value}"' if isinstance(value, str) else str(value)
