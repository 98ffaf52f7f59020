"""Data augmentation of PaddleClas where that of mmpretrain differs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmpretrain.datasets.transforms import AutoAugment
from mmpretrain.datasets.transforms.auto_augment import AUTOAUG_POLICIES
from mmpretrain.registry import TRANSFORMS

from ..backbones.base import check_integer, check_positive


def _check_range(name: str, value: Sequence[float]) -> tuple[float, float]:
    """Return two ordered numbers above 0, or raise a TypeError or ValueError that names the argument."""
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise TypeError(f'{name} must be two numbers (low, high), got {value!r}')
    low, high = (check_positive(name, number) for number in value)
    if low > high:
        raise ValueError(f'{name} must be (low, high) with low <= high, got {value!r}')
    return low, high


@TRANSFORMS.register_module()
class UniformAspectRandomResizedCrop(BaseTransform):
    """Crop a random rectangle and resize it, like ``RandCropImage`` of PaddleClas.

    ``RandomResizedCrop`` of mmpretrain draws the logarithm of the aspect ratio, tries ten rectangles and falls back to
    a center crop. Here the ratio itself is uniform, and the area is limited to that of the largest rectangle of this
    ratio inside the image, so that the first rectangle always fits (docs/specification/pplcnet.md#random-crop).

    Required keys: ``img``. Modified keys: ``img``, ``img_shape``.

    Args:
        scale: Height and width of the output, or the side of a square.
        crop_ratio_range: Range of the share of the image's area, within (0, 1].
        aspect_ratio_range: Range of the width divided by the height.
        interpolation: Interpolation of OpenCV, under its name in mmcv.

    Raises:
        TypeError, ValueError: an argument is invalid; the message gives its name, its value and what is allowed.
    """

    def __init__(
        self,
        scale: int | Sequence[int] = 224,
        crop_ratio_range: Sequence[float] = (0.08, 1.0),
        aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = 'bilinear',
    ) -> None:
        sides = tuple(scale) if isinstance(scale, Sequence) else (scale, scale)
        if len(sides) != 2:
            raise ValueError(f'scale must be an int or (height, width), got {scale!r}')
        height, width = (check_integer('scale', side, 1) for side in sides)
        self.scale = height, width
        self.crop_ratio_range = _check_range('crop_ratio_range', crop_ratio_range)
        if self.crop_ratio_range[1] > 1:
            raise ValueError(f'crop_ratio_range must be within 0 and 1, got {crop_ratio_range!r}')
        self.aspect_ratio_range = _check_range('aspect_ratio_range', aspect_ratio_range)
        self.interpolation = interpolation

    @cache_randomness
    def draw_crop(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Draw a rectangle ``(left, top, width, height)`` in pixels inside an image."""
        aspect = np.random.uniform(*self.aspect_ratio_range)
        bound = min(width / height / aspect, height / width * aspect)
        low, high = (min(share, bound) for share in self.crop_ratio_range)
        area = width * height * np.random.uniform(low, high)
        # At least one pixel, for images of very small height or width.
        crop_width = min(width, max(1, int(math.sqrt(area * aspect))))
        crop_height = min(height, max(1, int(math.sqrt(area / aspect))))
        left = np.random.randint(0, width - crop_width + 1)
        top = np.random.randint(0, height - crop_height + 1)
        return int(left), int(top), crop_width, crop_height

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop and resize the image."""
        return self.resize_crop(results, self.scale)

    def resize_crop(self, results: dict[str, Any], scale: tuple[int, int]) -> dict[str, Any]:
        """Crop a random rectangle and resize it to height and width ``scale``."""
        left, top, width, height = self.draw_crop(*results['img'].shape[:2])
        crop = results['img'][top : top + height, left : left + width]
        results['img'] = mmcv.imresize(crop, scale[::-1], interpolation=self.interpolation, backend='cv2')
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}(scale={self.scale}, crop_ratio_range={self.crop_ratio_range}, '
            f'aspect_ratio_range={self.aspect_ratio_range}, interpolation={self.interpolation!r})'
        )


@TRANSFORMS.register_module()
class PaddleAutoAugment(AutoAugment):
    """AutoAugment for ImageNet with the rotations of PaddleClas.

    mmpretrain rotates in both directions, ``ImageNetPolicy`` of PaddleClas only counterclockwise. mmpretrain 1.2 also
    ignores its ``hparams``, so the fill value is set in the policies here.

    Required keys: ``img``. Modified keys: ``img``.

    Args:
        pad_val: Gray level of the pixels that a rotation or shear uncovers.
    """

    def __init__(self, pad_val: int = 128) -> None:
        level = check_integer('pad_val', pad_val, 0, 255)
        policies: list[list[dict[str, Any]]] = deepcopy(AUTOAUG_POLICIES['imagenet'])
        for step in (step for policy in policies for step in policy):
            if step['type'] == 'Rotate':
                # A positive angle is clockwise in mmcv; this makes all of them negative.
                step.update(random_negative_prob=1.0)
            if step['type'] in ('Rotate', 'Shear'):
                # A single number would fill only the first channel.
                step.update(pad_val=[level] * 3)
        super().__init__(policies)
