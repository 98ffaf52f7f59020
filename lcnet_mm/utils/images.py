"""Images on disk: finding, reading, and naming the drawings of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from .errors import UserError
from .files import write_atomically

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def find_images(inputs: Iterable[str | Path]) -> list[Path]:
    """Expand folders (with all below them) to their images; a file is taken whatever its name.

    Raises:
        UserError: an input does not exist, or a folder has no image.
    """
    images: list[Path] = []
    for path in map(Path, inputs):
        if path.is_dir():
            found = sorted(p for p in path.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                raise UserError(f'folder {path} has no image ({", ".join(IMAGE_SUFFIXES)})')
            images += found
        elif path.is_file():
            images.append(path)
        else:
            raise UserError(f'image {path} does not exist')
    return images


def read_image(path: Path) -> np.ndarray:
    """Read an image as BGR ``(H, W, 3)`` uint8, whatever its depth, channels or the letters of its path.

    Raises:
        ValueError: the file is not an image that OpenCV decodes.
    """
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ValueError('cannot be decoded as an image')
    return image


def write_image(path: str | Path, image: np.ndarray, *options: int) -> None:
    """Write an image atomically, in the format of the file's suffix.

    Args:
        path: The file.
        image: BGR ``(H, W, 3)`` or gray ``(H, W)``, uint8.
        options: OpenCV's for the format, such as ``cv2.IMWRITE_JPEG_QUALITY, 88``.

    Raises:
        OSError: the file cannot be written, as where the disk is full; ``cv2.imwrite`` would only return False.
    """
    write_atomically(path, cv2.imencode(Path(path).suffix, image, list(options))[1].tobytes())


def drawing_path(image: Path, taken: set[Path], out_dir: Path) -> Path:
    """Return a name for the drawing; images of the same name from several folders are numbered."""
    target, number = out_dir / f'{image.stem}.jpg', 1
    while target in taken:
        number += 1
        target = out_dir / f'{image.stem}_{number}.jpg'
    taken.add(target)
    return target
