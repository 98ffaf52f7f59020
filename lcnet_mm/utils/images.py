"""Pictures on disk: finding, reading, and naming the drawings of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from .errors import UserError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def find_images(inputs: Iterable[str | Path]) -> list[Path]:
    """Expand folders (with all below them) to their pictures; a file is taken whatever its name.

    Raises:
        UserError: an input does not exist, or a folder has no picture.
    """
    images: list[Path] = []
    for path in map(Path, inputs):
        if path.is_dir():
            found = sorted(p for p in path.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                raise UserError(f'folder {path} has no picture ({", ".join(IMAGE_SUFFIXES)})')
            images += found
        elif path.is_file():
            images.append(path)
        else:
            raise UserError(f'picture {path} does not exist')
    return images


def read_image(path: Path) -> np.ndarray:
    """Read a picture as BGR ``(H, W, 3)`` uint8, whatever its depth, channels or the letters of its path.

    Raises:
        ValueError: the file is not a picture that OpenCV decodes.
    """
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ValueError('cannot be decoded as a picture')
    return image


def drawing_path(image: Path, taken: set[Path], out_dir: Path) -> Path:
    """A name for the drawing; pictures of the same name from several folders are numbered."""
    target, number = out_dir / f'{image.stem}.jpg', 1
    while target in taken:
        number += 1
        target = out_dir / f'{image.stem}_{number}.jpg'
    taken.add(target)
    return target
