"""COCO's sizes of objects."""

from __future__ import annotations

import numpy as np

AREAS = {'small': (0.0, 32.0**2), 'medium': (32.0**2, 96.0**2), 'large': (96.0**2, 1e5**2)}
"""Smallest and largest area of each size, in pixels, as in COCO's evaluation; 1e5 stands for no limit."""


def size_of_area(areas: np.ndarray) -> np.ndarray:
    """Return the index in :data:`AREAS` of each area."""
    return np.searchsorted([low for low, _ in AREAS.values()], areas, side='right') - 1
