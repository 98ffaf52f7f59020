"""Writing the predictions of many images: drawings, masks and ``predictions.json``."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from .errors import UserError
from .images import write_image
from .results import PREDICTIONS, ResultFolder

# What is wrong with one name only; after any other error of the file system no other file could be written either.
_ERRORS_OF_A_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


class PredictionWriter:
    """Write the drawing and the mask of one image after the other, and all predictions as JSON at the end.

    One image that fails does not stop the others. Used as a context manager: ``predictions.json`` is written at its
    end, also after an interruption, then with ``interrupted`` and what was done until then.

    Args:
        folder: The folder of the results.
        inputs: The images.

    Attributes:
        images: For each image ``file``, ``width``, ``height``, ``drawing``, with a mask ``mask``, and its prediction.
        failures: For each image that could not be processed ``file`` and ``reason``.

    Raises:
        UserError: as :class:`ResultFolder`.
    """

    def __init__(self, folder: str | Path, inputs: Sequence[Path]) -> None:
        self._folder = ResultFolder(folder, inputs)
        self.images: list[dict[str, Any]] = []
        self.failures: list[dict[str, str]] = []

    def __enter__(self) -> PredictionWriter:
        self._folder.make()
        if not self._folder.has_results:
            # So that the folder is known for what it is even if this process is killed.
            self._folder.write_json(dict(images=[], failures=[], interrupted=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        content = dict(images=self.images, failures=self.failures)
        if error is None:
            self._folder.write_json(content)
        elif not self.images:
            self._folder.remove_if_new()
        else:
            # The error that ended the run is told, not the one that follows from it.
            with suppress(UserError):
                self._folder.write_json({**content, 'interrupted': True})

    @property
    def json_file(self) -> Path:
        """``predictions.json``."""
        return self._folder.folder / PREDICTIONS

    def add(
        self,
        path: Path,
        size: tuple[int, int],
        drawing: np.ndarray,
        prediction: dict[str, Any],
        mask: np.ndarray | None = None,
    ) -> None:
        """Write the files of one image.

        Args:
            path: The image.
            size: Its width and height.
            drawing: BGR ``(H, W, 3)`` uint8, written as ``NAME.jpg``.
            prediction: As JSON types.
            mask: Class indices ``(H, W)``, written as ``NAME_mask.png``.

        Raises:
            UserError: the folder cannot be written to any more, as where the disk is full.
        """
        suffixes = ('.jpg',) if mask is None else ('.jpg', '_mask.png')
        files = self._folder.name(path.stem, *suffixes)
        entry: dict[str, Any] = dict(file=str(path), width=size[0], height=size[1])
        try:
            for key, file, pixels in zip(('drawing', 'mask'), files, (drawing, mask), strict=False):
                if pixels is not None:
                    write_image(file, pixels)
                    entry[key] = str(file)
        except ValueError as error:
            self._undo(files)
            self.fail(path, str(error))
        except OSError as error:
            self._undo(files)
            reason = f'{error.filename or files[0]} cannot be written: {error.strerror or error}'
            if error.errno not in _ERRORS_OF_A_NAME:
                raise UserError(reason) from error
            self.fail(path, reason)
        else:
            self.images.append({**entry, **prediction})

    def fail(self, path: Path, reason: str) -> None:
        """Record an image that could not be processed."""
        self.failures.append(dict(file=str(path), reason=' '.join(reason.split())))

    @staticmethod
    def _undo(files: Sequence[Path]) -> None:
        """Remove what was written of an image that failed."""
        for file in files:
            with suppress(OSError):
                file.unlink()
