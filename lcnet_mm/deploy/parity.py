"""Comparisons of an exported model's outputs with PyTorch's, with stated tolerances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

RTOL, ATOL = 1e-3, 1e-5
MIN_IOU, MAX_SCORE_DIFFERENCE = 0.99, 1e-3
MIN_EQUAL_PIXELS = 0.999
MAX_PROBABILITY_DIFFERENCE, TOP = 1e-4, 5

# With weights in half precision.
FP16_FACTOR = 30
# With weights and activations in eight bits: IoU 0.5, scores within 0.05. The accuracy decides, not this.
INT8_FACTOR = 50


class Result(NamedTuple):
    """Result of comparing two outputs.

    Attributes:
        passed: Whether the tolerance holds; False where there was nothing to compare.
        worst: The largest difference in the unit of ``limit``.
        limit: What is allowed.
        detail: What ``worst`` is, in words.
        empty: Whether there was nothing to compare, which proves nothing.
    """

    passed: bool
    worst: float
    limit: float
    detail: str
    empty: bool = False


@dataclass
class Comparison:
    """One output on one input.

    Attributes:
        input: Which input: 'image', 'random 0', …
        backend: Which side is compared with PyTorch.
        output: Which output.
        passed, worst, limit, detail, empty: As in :class:`Result`.
    """

    input: str
    backend: str
    output: str
    passed: bool
    worst: float
    limit: float
    detail: str
    empty: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        return asdict(self)


def compare_arrays(expected: np.ndarray, actual: np.ndarray, factor: float = 1.0) -> Result:
    """Compare element by element.

    The worst element is reported as a multiple of its tolerance ``ATOL + RTOL * |expected|``, of which 1 is allowed.
    """
    if expected.shape != actual.shape:
        return Result(False, float('inf'), 1.0, f'shape {actual.shape} instead of {expected.shape}')
    tolerance = factor * (ATOL + RTOL * np.abs(expected))
    ratio = np.abs(expected - actual) / tolerance
    worst = float(ratio.max(initial=0.0)) if np.isfinite(actual).all() else float('inf')
    return Result(worst <= 1, worst, 1.0, f'multiple of the tolerance {factor * ATOL:g} + {factor * RTOL:g} |x|')


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the IoU of boxes ``(A, 4)`` and ``(B, 4)`` xyxy as ``(A, B)``."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1) for boxes in (first, second)]
    iou: np.ndarray = overlap / np.maximum(areas[0][:, None] + areas[1][None] - overlap, 1e-12)
    return iou


@dataclass
class Detections:
    """Detections of one image: ``boxes`` ``(n, 4)`` xyxy, ``scores`` ``(n,)`` and ``labels`` ``(n,)``."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def above(self, score: float) -> Detections:
        """Return those with a higher score."""
        kept = self.scores > score
        return Detections(self.boxes[kept], self.scores[kept], self.labels[kept])

    def floor(self, max_per_img: int) -> float:
        """Return the lowest score that ``max_per_img`` left; 0 where it cut nothing off."""
        return float(self.scores.min()) if len(self.scores) >= max_per_img else 0.0


def compare_detections(
    expected: Detections, actual: Detections, score_thr: float, max_per_img: int, factor: float = 1.0
) -> Result:
    """Match detections of the same class at ``MIN_IOU`` with close scores, in both directions.

    Detections so close to the score threshold, or to the last score kept, that rounding decides are left out. Where no
    others are left on either side the result is empty: nothing is proven.
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
    if total == 0:
        return Result(False, 0, 0, f'nothing detected with a score above {floor:.3g}, which proves nothing', empty=True)
    detail = f'of {total} detections without a match at IoU {min_iou:.3g}, score {margin:g}'
    return Result(unmatched == 0, unmatched, 0, detail)


def compare_masks(expected: np.ndarray, actual: np.ndarray) -> Result:
    """Compare the classes of pixels by the share that differs."""
    limit = 1 - MIN_EQUAL_PIXELS
    if expected.shape != actual.shape:
        return Result(False, 1.0, limit, f'shape {actual.shape} instead of {expected.shape}')
    different = float((expected != actual).mean())
    return Result(different <= limit, different, limit, 'share of pixels of another class')


def compare_probabilities(expected: np.ndarray, actual: np.ndarray, factor: float = 1.0) -> Result:
    """Compare probabilities ``(N, classes)``, and the order of the best classes.

    Where two of them are closer than the tolerance, either order is accepted.
    """
    limit = factor * MAX_PROBABILITY_DIFFERENCE
    if expected.shape != actual.shape:
        return Result(False, float('inf'), limit, f'shape {actual.shape} instead of {expected.shape}')
    worst = float(np.abs(expected - actual).max(initial=0.0))
    count = min(TOP, expected.shape[1])
    in_order = True
    for first, second in zip(expected, actual, strict=True):
        best, other = (np.argsort(-row, kind='stable')[:count] for row in (first, second))
        in_order &= bool((np.abs(first[best] - first[other]) <= limit).all())
    detail = f'difference of probabilities, top-{count} in the same order: {"yes" if in_order else "no"}'
    return Result(worst <= limit and in_order, worst, limit, detail)


def is_proven(comparisons: Sequence[Comparison]) -> bool:
    """Return whether all tolerances hold, and each output of each backend was compared on at least one input."""
    if not all(c.passed or c.empty for c in comparisons):
        return False
    compared = {(c.backend, c.output) for c in comparisons if not c.empty}
    return bool(comparisons) and compared == {(c.backend, c.output) for c in comparisons}


def format_table(comparisons: Sequence[Comparison]) -> str:
    """Format the comparisons as text."""
    header = ('input', 'backend', 'output', 'parity', 'worst', 'limit', 'what is measured')
    rows = [header]
    for c in comparisons:
        verdict = 'empty' if c.empty else 'ok' if c.passed else 'FAILED'
        rows.append((c.input, c.backend, c.output, verdict, f'{c.worst:.3g}', f'{c.limit:.3g}', c.detail))
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = ('  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return '\n'.join(line.rstrip() for line in lines)
