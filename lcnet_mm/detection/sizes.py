"""Changing the input size of a detector's config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from ..backbones.base import check_integer


def set_input_size(cfg: Config | dict[str, Any], size: int) -> None:
    """Set the side of the square that images are resized to, in evaluation and training, in place.

    Every ``Resize`` with ``keep_ratio=False`` gets the new size, and the sizes of every :func:`resize_collate` are
    shifted by the same number of pixels: 256 to 384 around 320 become 288 to 416 around 352. In a config file, mmengine
    passes the configs listed in ``_base_`` under that name::

        _base_ = 'configs/picodet_like/picodet_s_320_coco.py'

        from lcnet_mm.detection import set_input_size

        set_input_size(_base_, 352)

    Args:
        cfg: The config, or any part of one.
        size: The new side in pixels, preferably a multiple of 32.

    Raises:
        TypeError: ``size`` is not an integer.
        ValueError: ``size`` is too small, or the images are not resized to one square size.
    """
    size = check_integer('size', size, 1)
    parts = list(_walk(cfg))
    resizes = [part for part in parts if _name(part) == 'Resize' and part.get('keep_ratio') is False]
    sides = sorted({side for resize in resizes for side in resize['scale']})
    if len(sides) != 1:
        found = f'resized to {sides}' if sides else 'not resized with keep_ratio=False'
        raise ValueError(f'set_input_size needs images that are resized to one square size; here they are {found}')
    collates = [part for part in parts if _name(part) == 'resize_collate']
    if any(not isinstance(side, int) for collate in collates for side in collate['sizes']):
        raise ValueError(
            'set_input_size needs images that are resized to squares; the sizes of resize_collate are pairs'
        )
    shift = size - sides[0]
    smallest = min((side for collate in collates for side in collate['sizes']), default=sides[0]) + shift
    if smallest < 1:
        raise ValueError(f'size {size} is too small: the smallest size in training would be {smallest}')
    for resize in resizes:
        resize['scale'] = (size, size)
    for collate in collates:
        collate['sizes'] = [side + shift for side in collate['sizes']]


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all dicts inside a config."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _walk(part)
    elif isinstance(value, dict | Config):
        if isinstance(value, dict):
            yield value
        for part in value.values():
            yield from _walk(part)


def _name(part: dict[str, Any]) -> str:
    """Return the type of a config without the scope of its registry."""
    return str(part.get('type')).rpartition('.')[2]
