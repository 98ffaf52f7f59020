"""Images on disk: finding, reading and writing them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from .errors import UserError
from .files import write_atomically
from .results import is_result_folder

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
# How an image file is read, by the names of mmcv's color types.
READ_FLAGS = dict(
    color=cv2.IMREAD_COLOR,
    grayscale=cv2.IMREAD_GRAYSCALE,
    color_ignore_orientation=cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    grayscale_ignore_orientation=cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION,
)


def find_images(inputs: Iterable[str | Path]) -> list[Path]:
    """Expand folders (with all below them) to their images; a file is taken whatever its name.

    Hidden files and folders below a folder are left out, and so are folders of results.

    Args:
        inputs: Files and folders.

    Raises:
        UserError: an input does not exist, or a folder has no image or cannot be read.
    """
    images: list[Path] = []
    for path in map(Path, inputs):
        if path.is_dir():
            found = _images_below(path)
            if not found:
                raise UserError(f'folder {path} has no image ({", ".join(IMAGE_SUFFIXES)})')
            images += found
        elif path.exists():
            images.append(path)
        else:
            raise UserError(f'image {path} does not exist')
    return images


def _images_below(root: Path) -> list[Path]:
    """Return the images of a folder and of those in it, sorted."""

    def fail(error: OSError) -> None:
        raise UserError(f'folder {error.filename} cannot be read: {error.strerror}') from error

    images = []
    for name, folders, files in os.walk(root, onerror=fail):
        folder = Path(name)
        folders[:] = [entry for entry in folders if not entry.startswith('.') and not is_result_folder(folder / entry)]
        images += [
            folder / entry
            for entry in files
            if not entry.startswith('.') and Path(entry).suffix.lower() in IMAGE_SUFFIXES
        ]
    return sorted(images)


def read_image(path: str | Path, read: str = 'color') -> np.ndarray:
    """Read an image as uint8, whatever its depth, channels or the letters of its path.

    Args:
        path: The file.
        read: One of :data:`READ_FLAGS`.

    Returns:
        BGR ``(H, W, 3)``; of a gray one ``(H, W, 1)``.

    Raises:
        ValueError: the file cannot be read, or it is not an image that OpenCV decodes.
    """
    if not os.path.isfile(path):
        # The name of a pipe or a device would be waited for.
        raise ValueError('is not a file')
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ValueError(f'cannot be read: {error.strerror or error}') from error
    try:
        image = cv2.imdecode(data, READ_FLAGS[read]) if data.size else None
    except cv2.error as error:
        raise ValueError(f'cannot be decoded as an image: {" ".join(str(error.err).split())}') from error
    if image is None:
        raise ValueError('cannot be decoded as an image')
    return image if image.ndim == 3 else image[..., None]


def write_image(path: str | Path, image: np.ndarray, *options: int) -> None:
    """Write an image atomically, in the format of the file's suffix.

    Args:
        path: The file.
        image: BGR ``(H, W, 3)`` or gray ``(H, W)``, uint8.
        options: OpenCV's for the format, such as ``cv2.IMWRITE_JPEG_QUALITY, 88``.

    Raises:
        ValueError: the format cannot hold the image; JPEG has at most 65,500 pixels per side.
        OSError: the file cannot be written, as where the disk is full; ``cv2.imwrite`` would only return False.
    """
    suffix = Path(path).suffix
    try:
        done, data = cv2.imencode(suffix, image, list(options))
    except cv2.error:
        done = False
    if not done:
        height, width = image.shape[:2]
        raise ValueError(f'an image of {width}x{height} pixels cannot be written as {suffix}')
    write_atomically(path, data.tobytes())
