"""What a detector returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.errors import UserError
from ..utils.optional import require

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one image, best first; unpacks as ``boxes, scores, labels``.

    Attributes:
        boxes: ``(n, 4)`` xyxy in pixels of the image.
        scores: ``(n,)`` within 0 and 1.
        labels: ``(n,)`` class indices.
        names: Names of all classes, in the order of the labels.
        track_ids: ``(n,)`` numbers of the objects in a video, -1 for none; None outside of videos.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    names: Sequence[str] = ()
    track_ids: np.ndarray | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.boxes, self.scores, self.labels))

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.scores)

    def select(self, kept: np.ndarray) -> Detections:
        """Return the detections that a mask or indices keep."""
        tracks = None if self.track_ids is None else self.track_ids[kept]
        return Detections(self.boxes[kept], self.scores[kept], self.labels[kept], self.names, tracks)

    def name_of(self, label: int) -> str:
        """Return the name of a class, or its number where it has none."""
        return self.names[label] if 0 <= label < len(self.names) else str(label)

    def describe(self) -> list[dict[str, Any]]:
        """Return the detections as JSON types: class, label, score and bbox xyxy each, and track where there is one."""
        described: list[dict[str, Any]] = [
            {'class': self.name_of(label), 'label': label, 'score': score, 'bbox': box}
            for box, score, label in zip(*(part.tolist() for part in self), strict=True)
        ]
        if self.track_ids is not None:
            for entry, track in zip(described, self.track_ids.tolist(), strict=True):
                if track >= 0:
                    entry['track'] = track
        return described

    def to_coco(self, image_id: int, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Return the detections as COCO results, of which a JSON file is a list.

        Args:
            image_id: The image's id in the annotation file.
            category_ids: The id of each class there; counted from 1 by default, as ``lcnet data convert`` does.

        Raises:
            UserError: a class has no id.
        """
        if category_ids is not None and len(self.labels) and self.labels.max() >= len(category_ids):
            raise UserError(f'category_ids has {len(category_ids)} ids, and class {self.labels.max()} was detected')
        results = []
        for (left, top, right, bottom), score, label in zip(*(part.tolist() for part in self), strict=True):
            category = label + 1 if category_ids is None else category_ids[label]
            box = [left, top, right - left, bottom - top]
            results.append(dict(image_id=image_id, category_id=category, bbox=box, score=score))
        return results

    def to_supervision(self) -> supervision.Detections:
        """Return supervision's ``Detections``, with the names of the classes as ``class_name``.

        Raises:
            ImportError: supervision is not installed.
        """
        require('supervision', 'Detections.to_supervision', 'tracking')
        import supervision

        names = np.array([self.name_of(int(label)) for label in self.labels], dtype=str)
        return supervision.Detections(
            xyxy=self.boxes.astype(np.float32),
            confidence=self.scores.astype(np.float32),
            class_id=self.labels.astype(int),
            tracker_id=self.track_ids,
            data=dict(class_name=names),
        )

    def draw(self, image: np.ndarray, score_threshold: float = 0.0) -> np.ndarray:
        """Draw the boxes with class and score on a copy of the BGR image."""
        from .drawing import draw_detections

        return draw_detections(image.copy(), self, score_threshold)
