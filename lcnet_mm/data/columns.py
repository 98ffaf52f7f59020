"""Fields of many JSON entries as numpy columns, with what is missing or of another type marked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from .coco_file import Entry

NUMBERS = frozenset((int, float))


class _Missing:
    """Stands for a field that an entry does not have; None is a value of JSON."""


MISSING = _Missing()


def get_column(entries: Sequence[Entry], key: str) -> list[Any]:
    """Return one field of all entries, :data:`MISSING` where there is none."""
    return [entry.get(key, MISSING) for entry in entries]


def find_missing(values: Sequence[Any]) -> np.ndarray:
    """Mark the entries that do not have the field, bool ``(N,)``."""
    return np.fromiter((value is MISSING for value in values), bool, len(values))


def find_types(values: Sequence[Any], *types: type) -> np.ndarray:
    """Mark the values of exactly these types, bool ``(N,)``; a bool is not an int here."""
    wanted = frozenset(types)
    return np.fromiter((type(value) in wanted for value in values), bool, len(values))


def to_numbers(values: Sequence[Any]) -> np.ndarray:
    """Return values as float64 ``(N,)``: NaN where a value is not a number, infinity where it is too large."""
    if set(map(type, values)) <= NUMBERS:
        try:
            return np.array(values, np.float64)
        except OverflowError:
            pass
    return np.fromiter(map(_to_number, values), np.float64, len(values))


def to_boxes(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes ``(N, 4)`` and which of them are lists of four numbers ``(N,)``; the others are NaN."""
    good = np.fromiter((type(value) is list and len(value) == 4 for value in values), bool, len(values))
    boxes = np.full((len(values), 4), np.nan)
    chosen = [values[row] for row in np.flatnonzero(good).tolist()] if not good.all() else values
    flat = list(chain.from_iterable(chosen))
    if flat:
        numeric = find_types(flat, int, float).reshape(-1, 4).all(1)
        boxes[good] = to_numbers(flat).reshape(-1, 4)
        good[np.flatnonzero(good)[~numeric]] = False
        boxes[~good] = np.nan
    return boxes, good


def find_repeated(values: Sequence[Any], valid: np.ndarray) -> np.ndarray:
    """Mark the second and later use of each valid (and hashable) value, bool ``(N,)``."""
    repeated = np.zeros(len(values), bool)
    if valid.all() and len(set(values)) == len(values):
        return repeated
    seen: set[Any] = set()
    for row in np.flatnonzero(valid).tolist():
        if values[row] in seen:
            repeated[row] = True
        seen.add(values[row])
    return repeated


def find_rows(values: Sequence[Any], rows: dict[Any, int]) -> np.ndarray:
    """Return the row that each id belongs to, int64 ``(N,)``; -1 where there is none."""
    try:
        return np.fromiter((rows.get(value, -1) for value in values), np.int64, len(values))
    except TypeError:  # A list or an object as id.
        return np.fromiter(
            (rows.get(value, -1) if type(value) in (int, float, str) else -1 for value in values), np.int64, len(values)
        )


def _to_number(value: Any) -> float:
    if type(value) not in NUMBERS:
        return np.nan
    try:
        return float(value)
    except OverflowError:
        return np.inf
