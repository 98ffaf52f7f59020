"""Checks of COCO's segmentations: polygons and RLE, without handing anything unchecked to pycocotools' C code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .boxes import BORDER_SLACK
from .columns import MISSING, NUMBERS, find_types

# x and y of three points.
_MIN_COORDINATES = 6


def check_masks(values: Sequence[Any], sizes: np.ndarray) -> dict[str, np.ndarray]:
    """Check the segmentations of annotations.

    Args:
        values: ``segmentation`` of each annotation; missing, null and empty ones are left out, as by the loader.
        sizes: Width and height of the image of each ``(N, 2)``, NaN where they are unknown.

    Returns:
        The annotations that each rule concerns, bool ``(N,)``.
    """
    found = {rule: np.zeros(len(values), bool) for rule in ('mask-type', 'mask-polygon', 'mask-rle', 'mask-outside')}
    for row, value in enumerate(values):
        if value is MISSING or value is None or value == [] or value == {}:
            continue
        if type(value) is list:
            width, height = sizes[row]
            _check_polygons(value, width, height, row, found)
        elif type(value) is dict:
            found['mask-rle'][row] = not _is_rle(value, sizes[row])
        else:
            found['mask-type'][row] = True
    return found


def is_valid_mask(value: Any, size: np.ndarray) -> bool:
    """Whether pycocotools can be trusted with a segmentation that is neither missing nor empty."""
    found = check_masks([value], size[None])
    return bool(value) and value is not MISSING and not any(mask[0] for mask in found.values())


def _check_polygons(polygons: list[Any], width: float, height: float, row: int, found: dict[str, np.ndarray]) -> None:
    for polygon in polygons:
        # In plain Python: arrays of a few numbers would take longer.
        if type(polygon) is not list or len(polygon) < _MIN_COORDINATES or len(polygon) % 2:
            found['mask-polygon'][row] = True
            return
        if not set(map(type, polygon)) <= NUMBERS or not _is_finite(polygon):
            found['mask-polygon'][row] = True
            return
        if (
            min(polygon) < -BORDER_SLACK
            or max(polygon[::2]) > width + BORDER_SLACK
            or max(polygon[1::2]) > height + BORDER_SLACK
        ):
            found['mask-outside'][row] = True


def _is_finite(numbers: list[float]) -> bool:
    """Whether the sum of numbers is, which NaN, infinity and integers of hundreds of digits make impossible."""
    try:
        return math.isfinite(sum(numbers))
    except OverflowError:
        return False


def _is_rle(value: dict[str, Any], size: np.ndarray) -> bool:
    """Whether run lengths fill the mask, and the mask has the size of the image."""
    counts, listed = value.get('counts'), value.get('size')
    if not (isinstance(listed, list) and len(listed) == 2 and find_types(listed, int).all() and min(listed) > 0):
        return False
    if np.isfinite(size).all() and listed != [size[1], size[0]]:
        return False
    if isinstance(counts, str):
        runs = _decode_runs(counts)
    elif isinstance(counts, list) and find_types(counts, int).all():
        runs = counts
    else:
        return False
    return runs is not None and (not runs or min(runs) >= 0) and sum(runs) == listed[0] * listed[1]


def _decode_runs(text: str) -> list[int] | None:
    """Decode COCO's compressed run lengths, or return None if they are broken.

    pycocotools reads beyond the end of a string that stops within a number. Six bits a character from '0' on: five of
    the number, lowest first, and one that says that more follow; from the fourth number on they are differences to the
    number before the last.
    """
    runs: list[int] = []
    number, shift = 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            return None
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        runs.append(number + runs[-2] if len(runs) > 2 else number)
        number, shift = 0, 0
    return runs if not shift else None
