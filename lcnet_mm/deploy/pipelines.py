"""Test pipelines at the size of an export: the config's own, and the one that a static export can run.

Evaluation in PyTorch runs the first, the exported model gets the second. They give the same pixels wherever a network
of static shape can have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import mmcv
from mmcv.transforms import BaseTransform
from mmengine.config import ConfigDict
from mmengine.registry import TRANSFORMS

from ..data.spec import ModelSpec, Size, fit_pipeline, pipeline_size, step_kind
from ..utils.errors import UserError


@TRANSFORMS.register_module()
class ResizeInside(BaseTransform):
    """Resize an image to the largest size with its aspect ratio that a width and a height have room for.

    mmcv's ``Resize(keep_ratio=True)`` does so for squares, and for rectangles unless the image is upright and the
    rectangle is not: it takes the longer side for the longer one.

    Args:
        scale: Width and height.
        interpolation: As for mmcv's ``Resize``.
        backend: As for mmcv's ``Resize``.
    """

    def __init__(self, scale: Size, interpolation: str = 'bilinear', backend: str = 'cv2') -> None:
        self.scale, self.interpolation, self.backend = scale, interpolation, backend

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize ``img`` ``(H, W[, C])``; sets ``img_shape`` and ``scale_factor``."""
        height, width = results['img'].shape[:2]
        size = size_inside(width, height, self.scale)
        image: Any = mmcv.imresize(results['img'], size, interpolation=self.interpolation, backend=self.backend)
        results.update(
            img=image,
            img_shape=image.shape[:2],
            scale=size,
            scale_factor=(size[0] / width, size[1] / height),
            keep_ratio=True,
        )
        return results


def size_inside(width: int, height: int, size: Size) -> Size:
    """Return the largest width and height inside ``size`` with the aspect ratio of an image, rounded as mmcv does."""
    factor = min(size[0] / width, size[1] / height)
    return max(1, int(width * factor + 0.5)), max(1, int(height * factor + 0.5))


def own_pipeline(steps: Sequence[ConfigDict], size: Size | None) -> list[ConfigDict]:
    """Return the steps of evaluation in PyTorch: the config's own, at another size if one is given.

    Whether a resize keeps the aspect ratio, and what is padded, stays as it is.

    Args:
        steps: From loading to packing.
        size: Width and height; None for the config's own.
    """
    if size is None or pipeline_size(steps) == size:
        return [deepcopy(step) for step in steps]
    fitted = fit_pipeline(steps, size)
    if any(step_kind(step) == 'CenterCrop' for step in steps):
        return fitted
    own = []
    for step in map(deepcopy, steps):
        kind = step_kind(step)
        if kind == 'Resize':
            step.scale = size
        elif kind == 'Pad' and step.get('size'):
            step.size = size
        own.append(step)
    return own if any(step_kind(step) == 'Resize' for step in steps) else fitted


def static_pipeline(steps: Sequence[ConfigDict], size: Size, pad_value: Sequence[float]) -> list[ConfigDict]:
    """Return steps that bring every image to exactly one size, keeping the aspect ratio where the config does.

    What is missing beside an image that keeps its aspect ratio is padded at the right and at the bottom, with the value
    of the config's own ``Pad``.

    Args:
        steps: From loading to packing.
        size: Width and height.
        pad_value: Of each channel of the image as it is loaded, where the config has no ``Pad``.

    Raises:
        UserError: the steps resize one edge and do not crop, which no static shape can do.
    """
    kinds = [step_kind(step) for step in steps]
    if 'ResizeEdge' in kinds and 'CenterCrop' not in kinds:
        raise UserError(
            'the test pipeline has ResizeEdge without a CenterCrop, so images keep their aspect ratio, and an export '
            'of static shape cannot follow; add CenterCrop, resize with Resize, or use a deploy config of dynamic shape'
        )
    resizes = [step for step in steps if step_kind(step) == 'Resize']
    if 'CenterCrop' in kinds or not any(step.get('keep_ratio') for step in resizes):
        if pipeline_size(steps) == size and resizes:
            return [deepcopy(step) for step in steps]
        return [step for step in fit_pipeline(steps, size) if step_kind(step) != 'Pad']
    pads = [step for step in steps if step_kind(step) == 'Pad']
    pad = deepcopy(pads[0]) if pads else ConfigDict(type='Pad', pad_val=dict(img=tuple(pad_value)))
    for key in ('size_divisor', 'pad_to_square'):
        pad.pop(key, None)
    pad.size = size
    fitted = []
    for step in map(deepcopy, steps):
        kind = step_kind(step)
        if kind == 'Resize':
            given = {key: step[key] for key in ('interpolation', 'backend') if step.get(key)}
            fitted.append(ConfigDict(type='ResizeInside', scale=size, **given))
            fitted.append(pad)
        elif kind != 'Pad':
            fitted.append(step)
    return fitted


def at_static_size(spec: ModelSpec, size: Size) -> ModelSpec:
    """Return a model's spec with every image brought to one width and height, as a static export needs it.

    Raises:
        UserError: as :func:`static_pipeline`, or the data preprocessor would pad the size.
    """
    divisor = spec.pad_size_divisor
    if size[0] % divisor or size[1] % divisor:
        better = ' '.join(str(-(-side // divisor) * divisor) for side in size)
        raise UserError(
            f'the input size {size[0]} {size[1]} is not a multiple of pad_size_divisor {divisor} of the '
            f'data_preprocessor, which would pad it; choose {better}'
        )
    pipeline = tuple(static_pipeline(spec.pipeline, size, mean_pixel(spec)))
    return replace(spec, pipeline=pipeline, input_size=size, pad_size_divisor=1, is_static=True)


def mean_pixel(spec: ModelSpec) -> tuple[int, ...]:
    """Return the pixel that normalization brings closest to 0, in the order in which images are loaded (BGR)."""
    mean = [round(value) for value in spec.mean] * (spec.channels if len(spec.mean) == 1 else 1)
    return tuple(reversed(mean)) if spec.color == 'RGB' else tuple(mean)
