"""Repairing COCO annotation files where there is only one possible repair."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..utils.errors import UserError
from ..utils.files import atomic_path
from .boxes import BORDER_SLACK
from .coco_file import Entry, has_plain_encoding, read_coco
from .columns import find_types, to_boxes, to_numbers
from .files import decode_size
from .masks import is_valid_mask

_ORIENTATION = 0x0112
_FLAGS = {None: 0, False: 0, True: 1, '0': 0, '1': 1}


def fix_coco(ann_file: str | Path, out: str | Path, img_dir: str | Path | None = None) -> dict[str, int]:
    """Write a copy of a COCO file in which everything is repaired that can only mean one thing.

    These are ids of annotations that are missing, used twice, 0 or text; numbers written as text in ids; ``iscrowd``
    and ``area`` that are missing or unusable; a byte order mark; and with ``img_dir`` exchanged widths and heights, if
    the boxes show which they belong to. Boxes of images that the loader turns by their EXIF orientation are turned
    along if they fit the stored image only.

    Args:
        ann_file: The JSON file, which stays as it is.
        out: The new file, which must not exist.
        img_dir: Folder of the images; None leaves the sizes as they are.

    Returns:
        What was changed, and how often.

    Raises:
        UserError: ``out`` exists or cannot be written.
        AnnotationError: the file cannot be read as COCO at all.
    """
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise UserError(f'{out} exists already; name a new file for the repaired annotations')
    if not out.parent.is_dir():
        raise UserError(f'folder {out.parent} does not exist')
    content = read_coco(ann_file)
    changes: Counter[str] = Counter()
    if not has_plain_encoding(Path(ann_file)):
        changes['file written as plain UTF-8'] += 1
    images, annotations, categories = (
        [entry for entry in content[key] if isinstance(entry, dict)] for key in ('images', 'annotations', 'categories')
    )
    _fix_references(images, annotations, 'image_id', changes)
    _fix_references(categories, annotations, 'category_id', changes)
    _fix_annotation_ids(annotations, changes)
    if img_dir is not None:
        _fix_sizes(images, annotations, Path(img_dir), changes)
    _fix_areas(annotations, {_key(entry): entry for entry in images}, changes)
    for entry in annotations:
        _fix_crowd(entry, changes)
    try:
        with atomic_path(out) as partial:
            with partial.open('w', encoding='utf-8') as file:
                file.writelines(json.JSONEncoder(ensure_ascii=True).iterencode(content))
            # Another process may have made it in the meantime.
            if out.exists():
                raise UserError(f'{out} exists already; name a new file for the repaired annotations')
    except OSError as error:
        raise UserError(f'{out} cannot be written: {error.strerror}') from error
    return dict(changes)


def _key(entry: Entry) -> Any:
    """Return an id that can be looked up."""
    value = entry.get('id')
    return value if type(value) in (int, str) else None


def _as_number(value: Any) -> int | None:
    """Return the number that a text is, or None."""
    is_number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19
    return int(value) if is_number else None


def _fix_references(owners: list[Entry], annotations: list[Entry], key: str, changes: Counter[str]) -> None:
    """Write ids as numbers, if all that are text are numbers and none becomes the same as another."""
    kind = key.removesuffix('_id')
    ids = [entry.get('id') for entry in owners]
    if not find_types(ids, int, str).all():
        return
    numbers = [_as_number(value) if isinstance(value, str) else value for value in ids]
    if None in numbers or len(set(numbers)) != len(numbers):
        return
    for entry, number in zip(owners, numbers, strict=True):
        if isinstance(entry['id'], str):
            entry['id'] = number
            changes[f'{kind} ids written as numbers'] += 1
    known = set(numbers)
    for entry in annotations:
        number = _as_number(entry.get(key))
        if number in known:
            entry[key] = number
            changes[f'{key} of annotations written as numbers'] += 1


def _fix_annotation_ids(annotations: list[Entry], changes: Counter[str]) -> None:
    """Give a new id to each annotation that has none, 0, or that of an earlier one; nothing else refers to them."""
    for entry in annotations:
        number = _as_number(entry.get('id'))
        if number is not None:
            entry['id'] = number
            changes['annotation ids written as numbers'] += 1
    ids = [entry.get('id') for entry in annotations]
    following = max((value for value in ids if type(value) is int), default=0) + 1
    following = max(following, 1)
    seen: set[int] = set()
    for entry, value in zip(annotations, ids, strict=True):
        if type(value) is not int or value == 0 or value in seen:
            entry['id'] = value = following
            following += 1
            changes['annotations with a new id'] += 1
        seen.add(value)


def _fix_crowd(entry: Entry, changes: Counter[str]) -> None:
    value = entry.get('iscrowd')
    if type(value) is int and value in (0, 1):
        return
    if value is None or (type(value) in (bool, str, float) and value in _FLAGS):
        entry['iscrowd'] = _FLAGS[value]
        changes['iscrowd set'] += 1


def _fix_areas(annotations: list[Entry], images: dict[Any, Entry], changes: Counter[str]) -> None:
    """Compute areas that are missing or not positive: of the mask where there is one, else of the box."""
    areas = to_numbers([entry.get('area') for entry in annotations])
    boxes, numeric = to_boxes([entry.get('bbox') for entry in annotations])
    with np.errstate(invalid='ignore', over='ignore'):
        solid = numeric & np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)
        empty = numeric & np.isfinite(boxes).all(1) & (boxes[:, 2:] >= 0).all(1) & ~solid
        wrong = (solid & ~(np.isfinite(areas) & (areas > 0))) | (empty & ~np.isfinite(areas))
    for row in np.flatnonzero(wrong):
        entry = annotations[row]
        image_id = entry.get('image_id')
        image = images.get(image_id) if _is_id(image_id) else None
        entry['area'] = _mask_area(entry, image) or float(boxes[row, 2] * boxes[row, 3])
        changes['area computed'] += 1


def _is_id(value: Any) -> bool:
    return type(value) in (int, str)


def _mask_area(entry: Entry, image: Entry | None) -> float:
    """Return the area of the segmentation as COCO counts it, 0 if there is none or it is faulty."""
    from pycocotools import mask as coco_mask

    size = to_numbers([image.get('width'), image.get('height')] if image else [None, None])
    mask = entry.get('segmentation')
    if not mask or not (np.isfinite(size) & (size > 0) & (size < 1 << 15)).all() or not is_valid_mask(mask, size):
        return 0.0
    width, height = map(int, size)
    if isinstance(mask, list):
        mask = coco_mask.merge(coco_mask.frPyObjects(mask, height, width))
    elif isinstance(mask['counts'], list):
        mask = coco_mask.frPyObjects(mask, height, width)
    return float(coco_mask.area(mask))


def _fix_sizes(images: list[Entry], annotations: list[Entry], img_dir: Path, changes: Counter[str]) -> None:
    """Exchange the width and height of images that the loader has the other way round."""
    boxes_of: dict[Any, list[Entry]] = {_key(entry): [] for entry in images}
    for entry in annotations:
        if _is_id(entry.get('image_id')) and entry['image_id'] in boxes_of:
            boxes_of[entry['image_id']].append(entry)
    for entry in images:
        width, height = entry.get('width'), entry.get('height')
        if type(width) is not int or type(height) is not int or width == height or not _is_name(entry.get('file_name')):
            continue
        path = img_dir / entry['file_name']
        if decode_size(path) != (height, width):
            continue
        own = boxes_of[_key(entry)]
        boxes, numeric = to_boxes([annotation.get('bbox') for annotation in own])
        if not numeric.all() or not np.isfinite(boxes).all():
            changes['NOT repaired: exchanged sizes of images with unusable boxes'] += 1
            continue
        fits_stored, fits_loaded = _all_fit(boxes, width, height), _all_fit(boxes, height, width)
        orientation = _orientation(path)
        if fits_loaded and (orientation == 1 or not fits_stored or not own):
            changes['width and height of an image exchanged'] += 1
        elif fits_stored and not fits_loaded and orientation != 1 and not any(a.get('segmentation') for a in own):
            for annotation, box in zip(own, boxes, strict=True):
                annotation['bbox'] = turn_box(box, width, height, orientation)
            changes['width and height of an image exchanged, and its boxes turned'] += 1
        else:
            changes['NOT repaired: exchanged sizes of images whose boxes fit both ways or neither'] += 1
            continue
        entry['width'], entry['height'] = height, width


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and '\0' not in value


def _all_fit(boxes: np.ndarray, width: int, height: int) -> bool:
    ends = boxes[:, :2] + boxes[:, 2:]
    inside = (boxes[:, :2] >= -BORDER_SLACK).all() and (ends <= np.array([width, height]) + BORDER_SLACK).all()
    return bool(inside)


def _orientation(path: Path) -> int:
    try:
        with Image.open(path) as image:
            value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # OpenCV reads images that Pillow does not.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turn_box(box: np.ndarray, width: int, height: int, orientation: int) -> list[float]:
    """Return a box ``[x, y, w, h]`` of a stored image in the image as it is shown.

    Args:
        box: The box.
        width: Width of the stored image.
        height: Height of the stored image.
        orientation: EXIF's, 1 to 8.
    """
    x, y, w, h = map(float, box)
    mirrored_x, mirrored_y = width - x - w, height - y - h
    turned = {
        1: (x, y, w, h),
        2: (mirrored_x, y, w, h),
        3: (mirrored_x, mirrored_y, w, h),
        4: (x, mirrored_y, w, h),
        5: (y, x, h, w),
        6: (mirrored_y, x, h, w),
        7: (mirrored_y, mirrored_x, h, w),
        8: (y, mirrored_x, h, w),
    }
    return list(turned[orientation])


def list_changes(changes: dict[str, int]) -> Iterator[str]:
    """Yield what was changed, one line each."""
    for what, count in changes.items():
        yield f'{count} x {what}'
