"""Collecting what an evaluation predicts, beside the metrics of the config."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from ..utils.errors import UserError
from .curves import BINS
from .sizes import AREAS, size_of_area

WORST = 12
"""Number of images that a report shows."""

# Probabilities of a segmentor are counted in at most this many pixels of an image, on a regular grid.
_SAMPLED_PIXELS = 5_000


class ReportMetric(BaseMetric):
    """A metric without a value, which keeps what a report needs of each image.

    Args:
        task: 'detection', 'segmentation' or 'classification'.
        num_classes: Number of classes.

    Attributes:
        images: After the evaluation, in the main process, an entry for each image with ``path`` and ``shape``
            (height, width). Of detectors also ``id``, ``boxes`` ``(N, 4)`` xyxy, ``scores`` and ``labels``; of
            classifiers ``scores`` of all classes and the true ``label``; of segmentors see :meth:`process`.
    """

    default_prefix = 'report'

    def __init__(self, task: str, num_classes: int) -> None:
        super().__init__()
        self.task = task
        self.num_classes = num_classes
        self.images: list[dict[str, Any]] = []
        self._worst: list[float] = []

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep what a batch has predicted.

        Of a segmentor's image there are ``labeled``, its pixels with a class; ``wrong``, the share of them that is
        wrong; ``mistake``, the true and the predicted class of most of these; and where few images before it were
        worse, ``truth`` and ``prediction``, label maps as PNG. The first image of each process has the sums over all
        images of the process: ``counts`` ``(C, C)``, pixels by true and predicted class; ``regions`` ``(3, 2)``, pixels
        of the small, medium and large true regions and those of them that were found; ``probabilities`` ``(C, 2,
        BINS)``, pixels by class, whether they are of it, and the probability that was given to it.

        Raises:
            UserError: an image of a classifier has not exactly one label.
        """
        describe = getattr(self, f'_{self.task}')
        for sample in data_samples:
            entry = dict(path=str(sample.get('img_path') or ''), shape=tuple(sample.get('ori_shape') or ())[:2])
            self.results.append({**entry, **describe(sample)})

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Take the entries of all processes; there is no value."""
        self.images = results
        return {}

    def _detection(self, sample: dict[str, Any]) -> dict[str, Any]:
        found = sample['pred_instances']
        boxes = getattr(found['bboxes'], 'tensor', found['bboxes'])
        return dict(
            id=sample.get('img_id'),
            boxes=_array(boxes).reshape(-1, 4).astype(np.float32),
            scores=_array(found['scores']).astype(np.float32),
            labels=_array(found['labels']).astype(np.int32),
        )

    def _segmentation(self, sample: dict[str, Any]) -> dict[str, Any]:
        predicted = _array(sample['pred_sem_seg']['data']).squeeze(0).astype(np.int64)
        true = _array(sample['gt_sem_seg']['data']).squeeze(0).astype(np.int64)
        count = self.num_classes
        # 255 and whatever else is not a class is ignored.
        used = (true >= 0) & (true < count)
        codes = true[used] * count + np.minimum(predicted[used], count - 1)
        counts = np.bincount(codes, minlength=count**2).reshape(count, count)
        sums = dict(counts=counts, regions=_count_regions(true, predicted, np.flatnonzero(counts.sum(1))))
        logits = sample.get('seg_logits')
        if logits is not None and len(logits['data']) == count > 1:
            sums['probabilities'] = _count_probabilities(logits['data'], true)
        mistakes = counts * (1 - np.eye(count, dtype=int))
        labeled, wrong = int(counts.sum()), float(mistakes.sum() / max(counts.sum(), 1))
        mistake = divmod(int(mistakes.argmax()), count)
        entry: dict[str, Any] = dict(labeled=labeled, wrong=wrong, mistake=mistake)
        if self.results:
            for name, value in sums.items():
                self.results[0][name] += value
        else:
            entry.update(sums)
        if wrong and (len(self._worst) < WORST or wrong > self._worst[0]):
            (heapq.heappush if len(self._worst) < WORST else heapq.heapreplace)(self._worst, wrong)
            entry.update(truth=_png(np.where(used, true, 255)), prediction=_png(predicted))
        return entry

    def _classification(self, sample: dict[str, Any]) -> dict[str, Any]:
        labels = _array(sample['gt_label']).reshape(-1)
        if len(labels) != 1:
            raise UserError(
                f'a report needs one label for each image, and {sample.get("img_path")} has {len(labels)}; evaluate '
                'without a report'
            )
        return dict(scores=_array(sample['pred_score']).astype(np.float32), label=int(labels[0]))


def _count_regions(true: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return pixels and found pixels of the connected true regions of these labels by their size, ``(3, 2)``."""
    result = np.zeros((len(AREAS), 2), np.int64)
    for label in labels:
        mask = (true == label).astype(np.uint8)
        # Most classes are in a small part of the image.
        left, top, width, height = cv2.boundingRect(mask)
        part = slice(top, top + height), slice(left, left + width)
        number, regions = cv2.connectedComponents(mask[part])
        areas = np.bincount(regions.ravel(), minlength=number)[1:]
        found = np.bincount(regions[predicted[part] == label], minlength=number)[1:]
        np.add.at(result, size_of_area(areas), np.stack((areas, found), 1))
    return result


def _count_probabilities(logits: torch.Tensor, true: np.ndarray) -> np.ndarray:
    """Return the histograms of each class's probability ``(C, 2, BINS)``, where it is not the true one and where it is.

    Args:
        logits: ``(C, H, W)``.
        true: Labels ``(H, W)``.
    """
    step = max(1, int(np.ceil((true.size / _SAMPLED_PIXELS) ** 0.5)))
    probabilities = logits[:, ::step, ::step].float().softmax(0).cpu().numpy().reshape(len(logits), -1)
    labels = true[::step, ::step].ravel()
    used = (labels >= 0) & (labels < len(logits))
    bins = np.minimum((probabilities[:, used] * BINS).astype(np.int64), BINS - 1)
    classes = np.arange(len(logits))[:, None]
    codes = (classes * 2 + (labels[used] == classes)) * BINS + bins
    return np.bincount(codes.ravel(), minlength=len(logits) * 2 * BINS).reshape(len(logits), 2, BINS)


def _array(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _png(labels: np.ndarray) -> bytes:
    return cv2.imencode('.png', labels.astype(np.uint8))[1].tobytes()
