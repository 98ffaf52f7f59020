"""Precision, recall and F1 of one class over the threshold of its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

RECALLS = np.linspace(0, 1, 101)
"""Where a curve of precision is sampled, as in COCO's evaluation."""

THRESHOLDS = np.linspace(0, 1, 101)
"""Where a curve of F1 is sampled."""

BINS = 1000
"""Number of probabilities that a segmentor's pixels are counted by."""


@dataclass
class Sweep:
    """What a class reaches with each threshold, from the highest to the lowest.

    Attributes:
        thresholds: The different scores ``(N,)``; what has at least this score counts.
        true: Number of right predictions ``(N,)``.
        found: Number of predictions ``(N,)``.
        positives: Number of objects, images or pixels of the class.
    """

    thresholds: np.ndarray
    true: np.ndarray
    found: np.ndarray
    positives: int

    @classmethod
    def of_scores(cls, scores: np.ndarray, hits: np.ndarray, positives: int) -> Sweep:
        """Count predictions.

        Args:
            scores: Score of each prediction ``(N,)``.
            hits: Whether it is right ``(N,)``.
            positives: Number of objects, images or pixels of the class.
        """
        order = np.argsort(-scores, kind='stable')
        return cls._of_sorted(scores[order], np.cumsum(hits[order]), np.arange(1, len(order) + 1), positives)

    @classmethod
    def of_histogram(cls, histogram: np.ndarray) -> Sweep:
        """Count pixels by their probability: ``(2, BINS)``, of other classes and of this one."""
        other, own = histogram[:, ::-1]
        thresholds = np.arange(BINS - 1, -1, -1) / BINS
        return cls(thresholds, np.cumsum(own), np.cumsum(own + other), int(own.sum()))

    @classmethod
    def _of_sorted(cls, scores: np.ndarray, true: np.ndarray, found: np.ndarray, positives: int) -> Sweep:
        # A threshold takes all predictions of one score.
        last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
        return cls(scores[last], true[last], found[last], positives)

    @property
    def precision(self) -> np.ndarray:
        """Share of the predictions that are right ``(N,)``."""
        return np.asarray(self.true / np.maximum(self.found, 1))

    @property
    def recall(self) -> np.ndarray:
        """Share of the positives that are found ``(N,)``."""
        return self.true / max(self.positives, 1)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall ``(N,)``."""
        return np.asarray(2 * self.true / np.maximum(self.found + self.positives, 1))

    @property
    def average_precision(self) -> float | None:
        """Area under the curve as scikit-learn defines it, without interpolation; None without positives."""
        return float(np.sum(np.diff(self.recall, prepend=0) * self.precision)) if self.positives else None

    def best(self) -> dict[str, float | None]:
        """Return the best F1 with its threshold, precision and recall; None for each without positives."""
        if not self.positives or not len(self.thresholds):
            return dict(f1=0.0 if self.positives else None, threshold=None, precision=None, recall=None)
        top = int(np.argmax(self.f1))
        values = (self.f1, self.thresholds, self.precision, self.recall)
        return dict(zip(('f1', 'threshold', 'precision', 'recall'), (float(v[top]) for v in values), strict=True))

    def precision_curve(self) -> np.ndarray:
        """Return the best precision at :data:`RECALLS` or more; 0 for recalls that are not reached."""
        envelope = np.append(np.maximum.accumulate(self.precision[::-1])[::-1], 0.0)
        return envelope[np.searchsorted(self.recall, RECALLS, side='left')]

    def f1_curve(self) -> np.ndarray:
        """Return F1 with each of :data:`THRESHOLDS`."""
        number = np.searchsorted(-self.thresholds, -THRESHOLDS, side='right')
        return np.append(0.0, self.f1)[number]

    def to_dict(self) -> dict[str, Any]:
        """Return the curves as JSON types."""
        curves = dict(precision_at_recall=self.precision_curve(), f1_at_threshold=self.f1_curve())
        return dict(best_f1=self.best(), **{name: [round(v, 4) for v in c.tolist()] for name, c in curves.items()})


def merge(sweeps: list[Sweep]) -> Sweep:
    """Return what all classes reach together with one threshold for all."""
    parts = [(s.thresholds, np.diff(s.true, prepend=0), np.diff(s.found, prepend=0)) for s in sweeps]
    scores, true, found = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(-scores, kind='stable')
    return Sweep._of_sorted(
        scores[order], np.cumsum(true[order]), np.cumsum(found[order]), sum(s.positives for s in sweeps)
    )
