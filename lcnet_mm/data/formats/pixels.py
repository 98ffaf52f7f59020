"""Sizes of images as the loader sees them, and labels that were made for other pixels than those."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ...utils.errors import UserError
from .samples import Item, Remarks, Shape, Size

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)


class ImageHeader(NamedTuple):
    """What the header of an image file says.

    Attributes:
        stored: Width and height of the pixels in the file.
        orientation: EXIF orientation, 1 to 8.
    """

    stored: Size
    orientation: int

    @property
    def displayed(self) -> Size:
        """Width and height after the EXIF rotation, as viewers show the image and mmcv loads it."""
        return self.stored[::-1] if self.orientation in _TURNED else self.stored


def read_header(source: Path | bytes) -> ImageHeader | None:
    """Return what the header of an image says; None if it is not a readable image."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                # Pillow takes the orientation of TIFF as its own; OpenCV does not turn TIFF.
                orientation = image.getexif().get(_ORIENTATION, 1) if image.format != 'TIFF' else 1
                return ImageHeader(image.size, orientation if orientation in range(1, 9) else 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def displayed_size(path: Path) -> Size | None:
    """Return the width and height with which mmcv loads an image; None if it cannot be read."""
    header = read_header(path)
    return header.displayed if header else None


def turn_points(orientation: int, stored: Size) -> Callable[[np.ndarray], np.ndarray]:
    """Return the map of points ``(N, 2)`` from the stored pixels to the displayed image."""
    width, height = stored

    def turn(points: np.ndarray) -> np.ndarray:
        x, y = points[:, 0], points[:, 1]
        u, v = (y, x) if orientation in _TURNED else (x, y)
        if orientation in (2, 3, 6, 7):
            u = (height if orientation in _TURNED else width) - u
        if orientation in (3, 4, 7, 8):
            v = (width if orientation in _TURNED else height) - v
        return np.stack([u, v], axis=1)

    return turn


def fit_labels(item: Item, header: ImageHeader, remarks: Remarks) -> Item:
    """Return an image whose labels are for the image as displayed, and inside it.

    Labels whose size is that of the stored pixels are turned with the EXIF orientation. Those of an image that was
    scaled afterwards are scaled. Labels without a size are taken for those of the displayed image.

    Raises:
        UserError: the labels were made for an image of another shape.
    """
    shapes, size = item.shapes, item.size
    width, height = header.displayed
    if size and size != header.displayed and shapes:
        if size == header.stored:
            turn = turn_points(header.orientation, header.stored)
            shapes = [shape.mapped(turn) for shape in shapes]
            remarks.add(
                'image with labels for its stored pixels; they were turned with its EXIF orientation', item.name
            )
        elif abs(size[0] * height - size[1] * width) <= max(width, height, *size):
            scale = np.array([width / size[0], height / size[1]])
            shapes = [shape.mapped(lambda points: points * scale) for shape in shapes]
            remarks.add('image of another size than its labels say; they were scaled', item.name)
        else:
            raise UserError(
                f'{item.name} is {width}x{height}, its labels are for {size[0]}x{size[1]}; '
                'use the image that was labeled'
            )
    kept = []
    for shape in shapes:
        clipped = _clip(shape, width, height)
        if clipped is None:
            remarks.add('object outside its image or without area, left out', item.name)
            continue
        if clipped is not shape:
            remarks.add('object cut at the border of its image', item.name)
        kept.append(clipped)
    return replace(item, size=header.displayed, shapes=kept)


def _clip(shape: Shape, width: int, height: int) -> Shape | None:
    """Return the part of an object inside its image, the object itself if that is all of it, or None."""
    x1, y1, x2, y2 = shape.box
    if not np.isfinite(shape.box).all():
        return None
    box = (max(min(x1, x2), 0.0), max(min(y1, y2), 0.0), min(max(x1, x2), width), min(max(y1, y2), height))
    if box[2] - box[0] < 1 or box[3] - box[1] < 1:
        return None
    if np.abs(np.subtract(box, shape.box)).max() <= 1e-6:
        return shape
    inside = shape.mapped(lambda points: np.clip(points, 0, [width, height]))
    # A rounding error of a tool is corrected without a word.
    return replace(inside, box=tuple(map(float, box)))  # type: ignore[arg-type]
