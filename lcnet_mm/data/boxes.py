"""Checks of boxes against their images, for any format."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .report import Findings

# A box may reach beyond its image by this many pixels before it is reported: rounding does that.
BORDER_SLACK = 1.0
# Another reading of the boxes is reported if this share of them does not fit as COCO's, and that share fits by it.
_UNFIT_SHARE = 0.1
_FIT_SHARE = 0.99
_NORMALIZED_SHARE = 0.9


def check_boxes(
    boxes: np.ndarray, sizes: np.ndarray, findings: Findings, describe: Callable[[int], str], keep: np.ndarray
) -> np.ndarray:
    """Check boxes ``[x, y, width, height]`` in pixels.

    Args:
        boxes: ``(N, 4)``, NaN in what was not a number.
        sizes: Width and height of the image of each box ``(N, 2)``, NaN where they are unknown.
        findings: Where to report.
        describe: The text of an example from the index of its row.
        keep: Which boxes to check, bool ``(N,)``: those that are four numbers.

    Returns:
        Which boxes mmdet's loader of COCO keeps by their geometry, bool ``(N,)``.
    """
    total = len(boxes)
    finite = np.isfinite(boxes).all(1) & keep
    findings.add_rows('box-not-finite', keep & ~finite, describe)
    known = finite & np.isfinite(sizes).all(1)
    x, y, w, h = boxes.T
    with np.errstate(invalid='ignore', over='ignore'):
        negative = finite & ((w < 0) | (h < 0))
        empty = finite & ~negative & ((w == 0) | (h == 0))
        thin = finite & ~negative & ~empty & ((w < 1) | (h < 1))
        solid = finite & ~negative & ~empty
        overlap_w = np.minimum(x + w, sizes[:, 0]) - np.maximum(x, 0)
        overlap_h = np.minimum(y + h, sizes[:, 1]) - np.maximum(y, 0)
        outside = known & solid & ((overlap_w <= 0) | (overlap_h <= 0))
        beyond = known & solid & ~outside & ~_fits(x, y, x + w, y + h, sizes)
    findings.add_rows('box-negative', negative, describe)
    findings.add_rows('box-empty', empty, describe, total)
    normalized = known & ((boxes >= 0) & (boxes <= 1)).all(1) & (sizes > 4).all(1)
    if known.any() and normalized.sum() >= _NORMALIZED_SHARE * known.sum():
        findings.add_rows('boxes-normalized', normalized, describe)
    else:
        findings.add_rows('box-thin', thin, describe, total)
    findings.add_rows('box-outside', outside, describe, total)
    findings.add_rows('box-beyond', beyond, describe, total)
    rule = _find_other_reading(boxes[known], sizes[known], (outside | beyond)[known])
    if rule:
        findings.add_rows(rule, outside | beyond, describe)
    kept: np.ndarray = finite & solid & ~thin & ~outside
    return kept


def _fits(left: np.ndarray, top: np.ndarray, right: np.ndarray, bottom: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Whether boxes of some area lie within their images, rounding left aside."""
    return (
        (left >= -BORDER_SLACK)
        & (top >= -BORDER_SLACK)
        & (right <= sizes[:, 0] + BORDER_SLACK)
        & (bottom <= sizes[:, 1] + BORDER_SLACK)
        & (right > left)
        & (bottom > top)
    )


def _find_other_reading(boxes: np.ndarray, sizes: np.ndarray, unfit: np.ndarray) -> str | None:
    """Return the rule that says how boxes are meant which do not fit as ``[x, y, width, height]``, or None."""
    if not len(boxes) or unfit.sum() < _UNFIT_SHARE * len(boxes):
        return None
    a, b, c, d = boxes.T
    with np.errstate(over='ignore', invalid='ignore'):
        readings = {
            'boxes-xyxy': _fits(a, b, c, d, sizes),
            'boxes-swapped': _fits(a, b, a + c, b + d, sizes[:, ::-1]) & (sizes[:, 0] != sizes[:, 1]),
            'boxes-center': _fits(a - c / 2, b - d / 2, a + c / 2, b + d / 2, sizes),
        }
    for rule, fits in readings.items():
        if fits.mean() >= _FIT_SHARE:
            return rule
    return None
