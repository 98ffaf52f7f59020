"""Load an image with the first steps of a pipeline, and report any error of them in one way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2

# A step of a pipeline, which returns None to reject an image.
Transform = Callable[[Any], Any]


class UnreadableImage(Exception):
    """The error for a file that is missing, truncated or not an image.

    Args:
        reason: The reason in one line.
        missing: Whether the file does not exist.
    """

    def __init__(self, reason: str, missing: bool = False) -> None:
        super().__init__(reason)
        self.missing = missing


def load_image(transforms: Sequence[Transform], info: dict[str, Any]) -> tuple[dict[str, Any], Sequence[Transform]]:
    """Run a pipeline up to the step that adds ``img``.

    The kind of error depends on the file, its format and the decoder (OSError, AssertionError, ValueError,
    ``cv2.error``, struct.error, …), so any of them means that the image cannot be read. The tested version of OpenCV
    rejects truncated files; OpenCV 4 decodes a truncated JPEG and fills the rest with gray.

    Args:
        transforms: The steps of the pipeline.
        info: Input of the first step, ``img_path`` and others.

    Returns:
        The output of the last step that was run, and the remaining steps.

    Raises:
        UnreadableImage: a step up to the one that adds ``img`` fails or returns None.
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
            raise UnreadableImage('not an image, or truncated')
        if 'img' in info:
            return info, transforms[position:]
    return info, ()


def _describe(error: Exception) -> str:
    """Return the reason in one line, in plain words for the errors of mmcv and OpenCV about an undecodable file."""
    if isinstance(error, AssertionError | cv2.error):
        return 'not an image, or truncated'
    return ' '.join(f'{type(error).__name__}: {error}'.split())
