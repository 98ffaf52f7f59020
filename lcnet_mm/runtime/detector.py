"""Object detection on an exported model."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..utils.errors import UserError
from .models import Geometry, ImageInput, Model
from .results import Detections
from .tiling import merge_tiles, split_image


class Detector(Model):
    """Object detection; a call returns :class:`~lcnet_mm.runtime.Detections`.

    Args:
        path: As for :class:`~lcnet_mm.runtime.Model`.
        threads: As for :class:`~lcnet_mm.runtime.Model`.
        int8: As for :class:`~lcnet_mm.runtime.Model`.
        cache_dir: As for :class:`~lcnet_mm.runtime.Model`.
        score_threshold: Only detections of at least this score are returned; by default all that the export gives,
            whose threshold is the config's ``score_thr``.
        classes: Only detections of these classes are returned, by name or by index; all by default.

    Raises:
        UserError: as for :class:`~lcnet_mm.runtime.Model`, or the model has no class of a name or index.
    """

    task = 'detection'

    def __init__(
        self,
        path: str | Path,
        threads: int | None = None,
        int8: bool = False,
        cache_dir: str | Path | None = None,
        score_threshold: float = 0.0,
        classes: Sequence[str | int] | None = None,
    ) -> None:
        super().__init__(path, threads, int8, cache_dir)
        if not 0 <= score_threshold <= 1:
            raise UserError(f'score_threshold must be within 0 and 1, got {score_threshold}')
        if isinstance(classes, str):
            raise UserError(f'classes must be a list of names or indices, got {classes!r}')
        self.score_threshold = score_threshold
        self._selected = None if classes is None else [self._find_class(name) for name in classes]
        self._arguments = (*self._arguments, score_threshold, classes)

    def _find_class(self, name: str | int) -> int:
        """Return the index of a class that is given by name or index."""
        if isinstance(name, str) and name in self.classes:
            return self.classes.index(name)
        if isinstance(name, int) and 0 <= name < len(self.classes):
            return name
        near = get_close_matches(str(name), self.classes, 1)
        raise UserError(
            f'classes has {name!r}, and the model has {len(self.classes)} classes'
            + (f'; the nearest name is {near[0]!r}' if near else f', {self.classes[0]!r} to {self.classes[-1]!r}')
        )

    def __call__(
        self,
        images: ImageInput | Sequence[ImageInput],
        tile: tuple[int, int] | None = None,
        overlap: float = 0.2,
    ) -> Any:
        """Detect objects in one image, or in several, one after the other.

        Args:
            images: As for :class:`~lcnet_mm.runtime.Model`.
            tile: Width and height of tiles that overlap and are looked at one by one, for objects that are small in a
                large image. What is found across their seams is merged.
            overlap: Share of a tile that its neighbor sees too; objects up to this size are whole in one of them.

        Returns:
            The detections in the image, or a list of them.

        Raises:
            UserError: an image cannot be read, or the tiles make no sense.
        """
        if tile is None:
            return super().__call__(images)
        if not isinstance(images, np.ndarray | str | Path):
            return [self(image, tile, overlap) for image in images]
        pixels = self.read(images)
        height, width = pixels.shape[:2]
        tiles = split_image(width, height, tile, overlap)
        parts = [super(Detector, self).__call__(pixels[top:bottom, left:right]) for left, top, right, bottom in tiles]
        return merge_tiles(tiles, parts, width, height) if len(tiles) > 1 else parts[0]

    def class_axis(self) -> tuple[str, int] | None:
        """Return the output whose axis counts the classes, and that axis; None if there is none."""
        return ('scores', 2) if self.description['output']['form'] == 'raw' else None

    def finish(self, outputs: dict[str, np.ndarray], geometry: Geometry) -> Detections:
        """Turn the outputs for one image, by name, into the prediction."""
        if self.description['output']['form'] == 'raw':
            candidates = outputs['boxes']
            if self.description['output']['clip']:
                candidates = np.clip(candidates, 0, np.array([*geometry.input_shape[::-1]] * 2, np.float32))
            boxes, scores, labels = self.suppress(outputs['scores'], candidates, self.description['output'])
        else:
            dets, labels = outputs['dets'], outputs['labels']
            kept = dets[:, 4] > 0
            boxes, scores, labels = dets[kept, :4], dets[kept, 4], labels[kept]
        factors = np.array(geometry.scale * 2, np.float32)
        limits = np.array([*geometry.shape[::-1]] * 2, np.float32)
        found = Detections(np.clip(boxes / factors, 0, limits), scores, labels.astype(np.int64), self.classes)
        kept = scores >= self.score_threshold
        if self._selected is not None:
            kept &= np.isin(labels, self._selected)
        return found if kept.all() else found.select(kept)

    @staticmethod
    def suppress(scores: np.ndarray, boxes: np.ndarray, settings: dict[str, Any]) -> Detections:
        """NMS by class of scores ``(P, classes)`` and boxes ``(P, 4)``, with the thresholds of ``model.json``."""
        point, label = np.nonzero(scores > settings['score_threshold'])
        candidates, values = boxes[point], scores[point, label]
        sizes = np.column_stack((candidates[:, :2], candidates[:, 2:] - candidates[:, :2]))
        kept = np.asarray(
            cv2.dnn.NMSBoxesBatched(
                sizes.tolist(), values.tolist(), label.tolist(), 0.0, float(settings['iou_threshold'])
            ),
            int,
        ).reshape(-1)
        kept = kept[np.argsort(-values[kept], kind='stable')]
        if settings['max_per_image'] >= 0:
            kept = kept[: settings['max_per_image']]
        return Detections(candidates[kept], values[kept], label[kept])
