"""Does the exported model compute what the PyTorch model computes? Comparisons with stated tolerances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RTOL, ATOL = 1e-3, 1e-5
MIN_IOU, MAX_SCORE_DIFFERENCE = 0.99, 1e-3
MIN_EQUAL_PIXELS = 0.999
MAX_PROBABILITY_DIFFERENCE, TOP = 1e-4, 5

# With weights in half precision.
FP16_FACTOR = 30
# With weights and activations in eight bits: IoU 0.5, scores within 0.05. The accuracy decides, not this.
INT8_FACTOR = 50


@dataclass
class Comparison:
    """One output on one input.

    Attributes:
        input: Which input: 'image', 'random 0', …
        backend: Which side is compared with PyTorch.
        output: Which output.
        passed: Whether the tolerance holds.
        worst: The largest violation of it in the unit of ``limit``.
        limit: What is allowed.
        detail: What ``worst`` is, in words.
    """

    input: str
    backend: str
    output: str
    passed: bool
    worst: float
    limit: float
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def compare_arrays(expected: np.ndarray, actual: np.ndarray, factor: float = 1.0) -> tuple[bool, float, float, str]:
    """Compare element by element; returns passed, worst, limit and detail of a :class:`Comparison`.

    The worst element is reported as multiple of its tolerance ``ATOL + RTOL * |expected|``, of which 1 is allowed.
    """
    if expected.shape != actual.shape:
        return False, float('inf'), 1.0, f'shape {actual.shape} instead of {expected.shape}'
    tolerance = factor * (ATOL + RTOL * np.abs(expected))
    ratio = np.abs(expected - actual) / tolerance
    worst = float(ratio.max(initial=0.0)) if np.isfinite(actual).all() else float('inf')
    return worst <= 1, worst, 1.0, f'multiple of the tolerance {factor * ATOL:g} + {factor * RTOL:g} |x|'


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of boxes ``(A, 4)`` and ``(B, 4)`` xyxy as ``(A, B)``."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1) for boxes in (first, second)]
    return overlap / np.maximum(areas[0][:, None] + areas[1][None] - overlap, 1e-12)


@dataclass
class Detections:
    """Detections of one image: ``boxes`` ``(n, 4)`` xyxy, ``scores`` ``(n,)`` and ``labels`` ``(n,)``."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def above(self, score: float) -> Detections:
        """Those with a higher score."""
        kept = self.scores > score
        return Detections(self.boxes[kept], self.scores[kept], self.labels[kept])

    def floor(self, max_per_img: int) -> float:
        """The least score that was not cut off by ``max_per_img``."""
        return float(self.scores.min()) if len(self.scores) >= max_per_img else 0.0


def compare_detections(
    expected: Detections, actual: Detections, score_thr: float, max_per_img: int, factor: float = 1.0
) -> tuple[bool, float, float, str]:
    """Match detections of the same class at ``MIN_IOU`` with close scores, in both directions.

    A detection so close to the score threshold, or to the last score kept, that a rounding decides is passed over.
    """
    margin = factor * MAX_SCORE_DIFFERENCE
    min_iou = 1 - factor * (1 - MIN_IOU)
    floor = max(score_thr, expected.floor(max_per_img), actual.floor(max_per_img)) + margin
    unmatched = total = 0
    for one, other in ((expected, actual), (actual, expected)):
        one = one.above(floor)
        total += len(one.scores)
        if not len(one.scores):
            continue
        if not len(other.scores):
            unmatched += len(one.scores)
            continue
        fits = box_iou(one.boxes, other.boxes) >= min_iou
        fits &= one.labels[:, None] == other.labels[None]
        fits &= np.abs(one.scores[:, None] - other.scores[None]) <= margin
        unmatched += int((~fits.any(1)).sum())
    return unmatched == 0, unmatched, 0, f'of {total} detections without a match at IoU {min_iou:.3g}, score {margin:g}'


def compare_masks(expected: np.ndarray, actual: np.ndarray) -> tuple[bool, float, float, str]:
    """Share of pixels whose class differs."""
    if expected.shape != actual.shape:
        return False, 1.0, 1 - MIN_EQUAL_PIXELS, f'shape {actual.shape} instead of {expected.shape}'
    different = float((expected != actual).mean())
    return different <= 1 - MIN_EQUAL_PIXELS, different, 1 - MIN_EQUAL_PIXELS, 'share of pixels of another class'


def compare_probabilities(
    expected: np.ndarray, actual: np.ndarray, factor: float = 1.0
) -> tuple[bool, float, float, str]:
    """The best classes must have the same order; where two are closer than the tolerance, either order will do."""
    limit = factor * MAX_PROBABILITY_DIFFERENCE
    if expected.shape != actual.shape:
        return False, float('inf'), limit, f'shape {actual.shape} instead of {expected.shape}'
    worst = float(np.abs(expected - actual).max(initial=0.0))
    count = min(TOP, expected.shape[1])
    in_order = True
    for first, second in zip(expected, actual, strict=True):
        best, other = (np.argsort(-row, kind='stable')[:count] for row in (first, second))
        in_order &= bool((np.abs(first[best] - first[other]) <= limit).all())
    detail = f'difference of probabilities, top-{count} in the same order: {"yes" if in_order else "no"}'
    return worst <= limit and in_order, worst, limit, detail


def format_table(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as text."""
    rows = [
        (c.input, c.backend, c.output, 'ok' if c.passed else 'FAILED', f'{c.worst:.3g}', f'{c.limit:.3g}', c.detail)
        for c in comparisons
    ]
    header = ('input', 'backend', 'output', 'parity', 'worst', 'limit', 'what is measured')
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return '\n'.join(line.rstrip() for line in lines)
