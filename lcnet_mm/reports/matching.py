"""COCO's matching of detections to labels, for all IoU thresholds and sizes at once.

pycocotools and faster-coco-eval give the same values, but not which detection was right, or only as an entry for each
detection, image and class; for 5,000 images, 80 classes and 100 detections in each image that takes most of a minute
and more than a gigabyte. The IoU itself is pycocotools'. The tests compare the results with those of ``COCOeval``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils

from .curves import RECALLS, Sweep
from .sizes import AREAS

IOUS = np.linspace(0.5, 0.95, 10)
"""IoU thresholds."""

MAX_DETECTIONS = 100
"""Detections of a class that count in an image, the best first."""

# The first one is everything.
_RANGES = np.array([(0.0, 1e5**2), *AREAS.values()])


@dataclass
class Truth:
    """The labels of an image.

    Attributes:
        boxes: ``(N, 4)`` xyxy.
        labels: ``(N,)``.
        ignored: ``(N,)``, whether a box is a crowd or for another reason neither right nor wrong to find.
        areas: ``(N,)``, the labeled area, which may be smaller than the box.
    """

    boxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray
    areas: np.ndarray

    @classmethod
    def of_boxes(cls, boxes: Any, labels: Any, ignored: Any = None, areas: Any = None) -> Truth:
        """Fill in what is not given: nothing is ignored, and the area is that of the box."""
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        return cls(
            boxes,
            np.asarray(labels, int).reshape(-1),
            np.zeros(len(boxes), bool) if ignored is None else np.asarray(ignored, bool).reshape(-1),
            sides.prod(1) if areas is None else np.asarray(areas, float).reshape(-1),
        )


@dataclass
class ClassMatches:
    """The detections of one class in all images.

    Attributes:
        scores: ``(N,)``, in the order of the images, in an image the best first.
        matched: ``(4, 10, N)``, by size (all of them first) and IoU threshold.
        ignored: The same shape: neither right nor wrong.
        positives: Labels of each size ``(4,)``.
    """

    scores: np.ndarray
    matched: np.ndarray
    ignored: np.ndarray
    positives: np.ndarray

    def precision(self) -> np.ndarray:
        """Return COCO's precision ``(4, 10, 101)`` by size, IoU threshold and recall; NaN for sizes without a label."""
        order = np.argsort(-self.scores, kind='stable')
        used = ~self.ignored[..., order]
        true = np.cumsum(self.matched[..., order] & used, -1, dtype=float)
        found = np.cumsum(used, -1, dtype=float)
        precision = true / (found + np.spacing(1))
        envelope = np.maximum.accumulate(precision[..., ::-1], -1)[..., ::-1]
        result = np.full((*used.shape[:2], len(RECALLS)), np.nan)
        for size, count in enumerate(self.positives):
            for iou in range(len(IOUS) if count else 0):
                places = np.searchsorted(true[size, iou] / count, RECALLS, side='left')
                result[size, iou] = np.append(envelope[size, iou], 0.0)[places]
        return result

    def sweep(self) -> Sweep:
        """Return what the class reaches with each threshold, at the lowest IoU."""
        used = ~self.ignored[0, 0]
        return Sweep.of_scores(self.scores[used], self.matched[0, 0][used], int(self.positives[0]))


def match_classes(images: Sequence[dict[str, Any]], truths: Sequence[Truth], num_classes: int) -> list[ClassMatches]:
    """Match the detections of each class to its labels.

    Args:
        images: ``boxes``, ``scores`` and ``labels`` of each image, as in
            :attr:`~lcnet_mm.reports.ReportMetric.images`.
        truths: The labels of each image.
        num_classes: Number of classes.
    """
    parts = []
    positives = np.zeros((num_classes, len(_RANGES)), int)
    for image, truth in zip(images, truths, strict=True):
        outside = truth.ignored | _outside(truth.areas)
        for size in range(len(_RANGES)):
            positives[:, size] += np.bincount(truth.labels[~outside[size]], minlength=num_classes)
        order = _best_of_each_class(image['scores'], image['labels'])
        boxes = _xywh(image['boxes'][order].astype(float))
        scores, labels = image['scores'][order], image['labels'][order]
        overlaps = iou(boxes, truth)
        matched = np.zeros((len(_RANGES), len(IOUS), len(order)), bool)
        ignored = np.repeat(_outside(boxes[:, 2:].prod(1))[:, None], len(IOUS), 1)
        for label in np.unique(truth.labels):
            # Others match nothing.
            rows = np.flatnonzero((labels == label) & (overlaps >= IOUS[0] - 1e-10).any(1))
            columns = np.flatnonzero(truth.labels == label)
            hit, hit_ignored = _match(overlaps[np.ix_(rows, columns)], truth.ignored[columns], outside[:, columns])
            matched[..., rows] = hit
            ignored[..., rows] = np.where(hit, hit_ignored, ignored[..., rows])
        parts.append((scores, labels, matched, ignored))
    nothing = np.zeros((len(_RANGES), len(IOUS), 0), bool)
    scores = np.concatenate([np.zeros(0, np.float32), *(part[0] for part in parts)])
    labels = np.concatenate([np.zeros(0, int), *(part[1] for part in parts)])
    matched = np.concatenate([nothing, *(part[2] for part in parts)], -1)
    ignored = np.concatenate([nothing, *(part[3] for part in parts)], -1)
    rows_of = [np.flatnonzero(labels == label) for label in range(num_classes)]
    return [
        ClassMatches(scores[rows], matched[..., rows], ignored[..., rows], count)
        for rows, count in zip(rows_of, positives, strict=True)
    ]


def _best_of_each_class(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the detections that count, the best first."""
    order = np.argsort(-scores, kind='stable')
    if len(order) <= MAX_DETECTIONS:
        return order
    kept = np.zeros(len(order), bool)
    for label in np.unique(labels):
        kept[np.flatnonzero(labels[order] == label)[:MAX_DETECTIONS]] = True
    return order[kept]


def iou(boxes: np.ndarray, truth: Truth) -> np.ndarray:
    """Return the IoU of boxes xywh with labels ``(N, M)``; with a crowd, the share of the box that is in it."""
    if not len(boxes) or not len(truth.boxes):
        return np.zeros((len(boxes), len(truth.boxes)))
    return np.asarray(mask_utils.iou(boxes, _xywh(truth.boxes), truth.ignored.astype(np.uint8)))


def _match(overlaps: np.ndarray, crowd: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match detections, the best first, to the label of the largest IoU that is free.

    Args:
        overlaps: IoU ``(D, G)``.
        crowd: ``(G,)``: many detections may match it.
        outside: ``(4, G)``: ignored for a size, and matched only where no other label can be.

    Returns:
        Whether each detection is matched, and whether it is to an ignored label, both ``(4, 10, D)``.
    """
    matched = np.zeros((len(_RANGES), len(IOUS), len(overlaps)), bool)
    ignored = np.zeros_like(matched)
    limits = np.minimum(IOUS, 1 - 1e-10)[None, :, None]
    free = np.ones((len(_RANGES), len(IOUS), len(crowd)), bool)
    sizes, levels = np.ogrid[: len(_RANGES), : len(IOUS)]
    for row in range(len(overlaps)):
        possible = (free | crowd) & (overlaps[row] >= limits)
        # A label that counts goes before an ignored one, then the IoU decides, then the later one.
        rank = np.where(possible, overlaps[row] + 2 * ~outside[:, None], -1)
        best = len(crowd) - 1 - np.argmax(rank[..., ::-1], -1)
        hit = possible.any(-1)
        matched[..., row] = hit
        ignored[..., row] = hit & outside[sizes, best]
        free[sizes, levels, best] &= ~hit
    return matched, ignored


def _outside(areas: np.ndarray) -> np.ndarray:
    """Return whether areas are outside each range, ``(4, N)``."""
    return (areas < _RANGES[:, :1]) | (areas > _RANGES[:, 1:])


def _xywh(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
