"""Reading an image through a pipeline's own loading step, whatever goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2

# A step of a pipeline: a dict to a dict, or None where it gives the image up.
Transform = Callable[[Any], Any]


class UnreadableImage(Exception):
    """An image that is missing, truncated or no image at all.

    Args:
        reason: Why, in one line.
        missing: Whether there is no such file.
    """

    def __init__(self, reason: str, missing: bool = False) -> None:
        super().__init__(reason)
        self.missing = missing


def load_image(transforms: Sequence[Transform], info: dict[str, Any]) -> tuple[dict[str, Any], Sequence[Transform]]:
    """Run a pipeline up to the step that gives ``img``.

    What a loader raises depends on the file, its format and the decoder (OSError, AssertionError, ValueError,
    ``cv2.error``, struct.error, …), so everything that it raises means that the image cannot be read. The OpenCV of
    the tested set refuses truncated files; OpenCV 4 decodes a truncated JPEG and leaves the rest of it grey.

    Args:
        transforms: The steps of the pipeline.
        info: What they begin with, ``img_path`` and others.

    Returns:
        What the loading gave, and the steps that remain.

    Raises:
        UnreadableImage: a step up to the one that gives ``img`` fails or gives None.
    """
    for position, transform in enumerate(transforms, 1):
        try:
            info = transform(info)
        except MemoryError:
            raise
        except Exception as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            raise UnreadableImage('missing' if missing else _describe(error), missing) from error
        if info is None:
            raise UnreadableImage('no image, or truncated')
        if 'img' in info:
            return info, transforms[position:]
    return info, ()


def _describe(error: Exception) -> str:
    """Return the reason in one line; what mmcv and OpenCV say when nothing was decoded is made plain."""
    if isinstance(error, AssertionError | cv2.error):
        return 'no image, or truncated'
    return ' '.join(f'{type(error).__name__}: {error}'.split())
