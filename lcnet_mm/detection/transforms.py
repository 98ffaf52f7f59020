"""Data augmentation of PaddleDetection's PicoDet readers, at the time when the published models were trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes, autocast_box_type
from mmengine.registry import FUNCTIONS

_LUMA = np.array([0.299, 0.587, 0.114])
# PaddleDetection's conversion from RGB to YIQ and back; the two are not exactly inverse, and that is part of the
# recipe.
_RGB_TO_YIQ = np.array([_LUMA, [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
_YIQ_TO_RGB = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])

_INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


@TRANSFORMS.register_module()
class PaddleDistort(BaseTransform):
    """Color distortion in random order: brightness, contrast, saturation and hue, each with probability ``prob``.

    The operations are those of the original, which do not quite do what their names say
    (docs/specification/picodet.md#distortion): brightness adds U(0.5, 1.5) gray levels, contrast multiplies all
    channels by U(0.5, 1.5), saturation blends with the luma by U(0.5, 1.5), and hue rotates by U(-18, 18) times pi,
    that is, by any angle. Nothing is clipped. All four are affine maps of a pixel's color, so they are multiplied into
    one matrix that is applied once.

    Required keys: ``img`` (BGR, as mmcv loads it). Modified keys: ``img`` (float32).

    Args:
        prob: Probability of each operation.
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be within 0 and 1, got {prob!r}')
        self.prob = prob

    @cache_randomness
    def draw_matrix(self) -> np.ndarray:
        """Draw the affine map of an RGB pixel, ``(3, 4)`` with the constant in the last column."""
        matrix = np.eye(4)
        for operation in np.random.permutation(4):
            if np.random.rand() >= self.prob:
                continue
            step = np.eye(4)
            if operation == 0:
                step[:3, 3] = np.random.uniform(0.5, 1.5)
            elif operation == 1:
                step[:3, :3] *= np.random.uniform(0.5, 1.5)
            elif operation == 2:
                factor = np.random.uniform(0.5, 1.5)
                step[:3, :3] = factor * np.eye(3) + (1 - factor) * _LUMA
            else:
                angle = np.random.uniform(-18, 18) * np.pi
                cos, sin = np.cos(angle), np.sin(angle)
                rotation = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
                step[:3, :3] = _YIQ_TO_RGB @ rotation @ _RGB_TO_YIQ
            matrix = step @ matrix
        return matrix[:3]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Distort the colors of the image."""
        matrix = self.draw_matrix()
        # The matrix is for RGB, the image is BGR: both its rows and its color columns are reversed.
        bgr_matrix = matrix[::-1][:, [2, 1, 0, 3]]
        results['img'] = cv2.transform(results['img'].astype(np.float32), bgr_matrix)
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(prob={self.prob})'


@TRANSFORMS.register_module()
class PaddleRandomCrop(BaseTransform):
    """Random crop that keeps at least one box center and overlaps enough with at least one box.

    The thresholds, and not cropping at all, are tried in random order, until one gives a crop within ``max_tries``.
    ``MinIoURandomCrop`` of mmdet requires the threshold of *every* box and draws the two sides independently; here one
    box is enough, and the sides result from a scale and an aspect ratio. Boxes with a center outside the crop are
    dropped, the others are clipped. Source: ``RandomCrop`` of PaddleDetection
    (docs/specification/picodet.md#data-pipeline).

    Required keys: ``img``, ``gt_bboxes``, ``gt_bboxes_labels``, optionally ``gt_ignore_flags``. Modified keys: these
    and ``img_shape``.

    Args:
        thresholds: Smallest IoU of the crop with its best box.
        scale_range: Range of the scale, the square root of the crop's share of the image.
        aspect_range: Range of the ratio of the relative width and height.
        max_tries: Number of tries per threshold.
    """

    def __init__(
        self,
        thresholds: Sequence[float] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9),
        scale_range: tuple[float, float] = (0.3, 1.0),
        aspect_range: tuple[float, float] = (0.5, 2.0),
        max_tries: int = 50,
    ) -> None:
        self.thresholds = tuple(thresholds)
        self.scale_range = scale_range
        self.aspect_range = aspect_range
        self.max_tries = max_tries

    @cache_randomness
    def draw_crop(self, height: int, width: int, boxes: np.ndarray) -> tuple[int, int, int, int] | None:
        """Draw a crop ``(left, top, right, bottom)`` in pixels for boxes ``(n, 4)`` xyxy; None for no crop."""
        options: list[float | None] = [*self.thresholds, None]
        for choice in np.random.permutation(len(options)):
            threshold = options[choice]
            if threshold is None:
                return None
            crop = self._search_crop(height, width, boxes, threshold)
            if crop is not None:
                return crop
        return None

    def _search_crop(
        self, height: int, width: int, boxes: np.ndarray, threshold: float
    ) -> tuple[int, int, int, int] | None:
        """Draw ``max_tries`` crops at once and return the first that fulfills the conditions, or None."""
        scale = np.random.uniform(*self.scale_range, self.max_tries)
        low = np.maximum(self.aspect_range[0], scale**2)
        high = np.minimum(self.aspect_range[1], scale**-2)
        root = np.sqrt(np.random.uniform(low, high))
        heights, widths = (height * scale / root).astype(int), (width * scale * root).astype(int)
        tops = np.floor(np.random.rand(self.max_tries) * (height - heights)).astype(int)
        lefts = np.floor(np.random.rand(self.max_tries) * (width - widths)).astype(int)
        crops = np.stack((lefts, tops, lefts + widths, tops + heights), 1)

        overlap = np.minimum(crops[:, None, 2:], boxes[:, 2:]) - np.maximum(crops[:, None, :2], boxes[:, :2])
        intersection = overlap.clip(0).prod(-1)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
        iou = intersection / np.maximum(areas + (widths * heights)[:, None] - intersection, 1e-9)
        good = (iou.max(1) >= threshold) & _centers_inside(boxes, crops).any(1)
        return tuple(crops[good.argmax()].tolist()) if good.any() else None

    @autocast_box_type()
    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop the image and its boxes."""
        boxes: HorizontalBoxes = results['gt_bboxes']
        height, width = results['img'].shape[:2]
        # The original drops crowd boxes before this step, so the crop must not depend on them.
        crowd = np.asarray(results.get('gt_ignore_flags', np.zeros(len(boxes))), dtype=bool)
        judged = boxes.numpy()[~crowd]
        crop = self.draw_crop(height, width, judged) if len(judged) else None
        if crop is None:
            return results
        left, top, right, bottom = crop
        results['img'] = results['img'][top:bottom, left:right]
        results['img_shape'] = results['img'].shape[:2]
        kept = _centers_inside(boxes.numpy(), np.array([crop]))[0]
        boxes = boxes[kept]
        boxes.translate_((-left, -top))
        boxes.clip_(results['img_shape'])
        results['gt_bboxes'] = boxes
        for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
            if key in results:
                results[key] = results[key][kept]
        return results

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}(thresholds={self.thresholds}, scale_range={self.scale_range}, '
            f'aspect_range={self.aspect_range}, max_tries={self.max_tries})'
        )


def _centers_inside(boxes: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """Return whether the centers of boxes ``(n, 4)`` lie strictly inside crops ``(m, 4)``: ``(m, n)``."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    result: np.ndarray = ((centers > crops[:, None, :2]) & (centers < crops[:, None, 2:])).all(-1)
    return result


@FUNCTIONS.register_module()
def resize_collate(batch: Sequence[dict[str, Any]], sizes: Sequence[int | tuple[int, int]]) -> dict[str, Any]:
    """Collate detection samples, resized to one random size by one random kernel for the whole batch.

    mmdet's ``BatchSyncRandomResize`` draws one size for all ranks every ten iterations and resizes bilinearly on the
    training device; the original draws a size and one of five OpenCV kernels for every batch of every rank, in the
    loader. Source: ``BatchRandomResize`` (docs/specification/picodet.md#data-pipeline). Use it as
    ``collate_fn=dict(type='resize_collate', sizes=[256, 288, 320, 352, 384])`` of a dataloader.

    Args:
        batch: Samples of ``PackDetInputs``: ``inputs`` ``(3, H, W)`` and ``data_samples``.
        sizes: Sizes to choose from, in pixels: the side of a square, or a pair (width, height).

    Returns:
        ``inputs`` ``(N, 3, height, width)`` in the type of the samples, and ``data_samples`` with their boxes,
        ``img_shape`` and ``scale_factor`` adapted.
    """
    chosen = sizes[np.random.randint(len(sizes))]
    size = (chosen, chosen) if isinstance(chosen, int) else (int(chosen[0]), int(chosen[1]))
    interpolation = int(np.random.choice(_INTERPOLATIONS))
    images, data_samples = [], []
    for sample in batch:
        image, data_sample = sample['inputs'].permute(1, 2, 0).numpy(), sample['data_samples']
        height, width = image.shape[:2]
        images.append(torch.from_numpy(cv2.resize(image, size, interpolation=interpolation)))
        factor = (size[0] / width, size[1] / height)
        data_sample.gt_instances.bboxes.rescale_(factor)
        previous = data_sample.metainfo.get('scale_factor', (1.0, 1.0))
        data_sample.set_metainfo(
            dict(img_shape=size[::-1], scale_factor=(factor[0] * previous[0], factor[1] * previous[1]))
        )
        data_samples.append(data_sample)
    return dict(inputs=torch.stack(images).permute(0, 3, 1, 2).contiguous(), data_samples=data_samples)
