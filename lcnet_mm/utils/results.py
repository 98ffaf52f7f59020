"""Folders of results: which ones are, and names in them that replace only results.

Nothing that a run did not make itself is ever replaced: neither an input, nor another file that is in the folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import UserError
from .files import make_folder, write_json

PREDICTIONS = 'predictions.json'


def read_results(folder: str | Path) -> set[str] | None:
    """Return the names of the files that a run left in a folder, or None where the folder is not one of results."""
    file = Path(folder, PREDICTIONS)
    try:
        if not file.is_file():
            return None
        content = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    if 'frames' in content and 'source' in content:
        return {PREDICTIONS, Path(str(content.get('video', 'video.mp4'))).name}
    images = content.get('images')
    if not isinstance(images, list) or 'failures' not in content:
        return None
    files = [entry.get(key) for entry in images if isinstance(entry, dict) for key in ('drawing', 'mask')]
    return {PREDICTIONS, *(Path(name).name for name in files if isinstance(name, str))}


def is_result_folder(folder: str | Path) -> bool:
    """Return whether an earlier run wrote its results to a folder."""
    return read_results(folder) is not None


class ResultFolder:
    """Write results to a folder, under names that replace only those of an earlier run.

    Args:
        folder: The folder; :meth:`make` makes it.
        inputs: The files that are read.

    Attributes:
        folder: The folder.
        has_results: Whether :meth:`make` found the results of an earlier run.

    Raises:
        UserError: an input is in the folder, or the folder is a file.
    """

    def __init__(self, folder: str | Path, inputs: Sequence[Path]) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f'the results cannot be written to {folder}, which is a file; choose a folder')
        place = self.folder.resolve()
        for path in inputs:
            if place in (path.parent.resolve(), path.resolve().parent):
                raise UserError(
                    f'the results cannot be written to {folder}: it has the input {path}, which a result could '
                    f'replace; choose another folder, such as {self.folder / "predictions"}'
                )
        self.has_results = False
        self._taken: set[str] = set()
        self._is_new = False

    def make(self) -> None:
        """Make the folder and see what is in it already; raises :class:`UserError` if it cannot be written to."""
        self._is_new = not self.folder.exists()
        make_folder(self.folder)
        earlier = read_results(self.folder)
        self.has_results = earlier is not None
        earlier = earlier or set()
        self._taken = {path.name for path in self.folder.iterdir()} - earlier
        if PREDICTIONS in self._taken:
            raise UserError(
                f'{self.folder / PREDICTIONS} is not from an earlier run and would be replaced; choose another folder'
            )

    def remove_if_new(self) -> None:
        """Remove the folder that :meth:`make` made, where there is nothing in it but ``predictions.json``.

        Where the folder was there before, only a ``predictions.json`` that is new is removed.
        """
        if not self.has_results:
            with suppress(OSError):
                (self.folder / PREDICTIONS).unlink()
        if self._is_new:
            with suppress(OSError):
                self.folder.rmdir()

    def name(self, stem: str, *suffixes: str) -> list[Path]:
        """Return unused names in the folder that differ in their suffixes; used stems are numbered."""
        number, numbered = 1, stem
        while any(f'{numbered}{suffix}' in self._taken for suffix in suffixes):
            number += 1
            numbered = f'{stem}_{number}'
        names = [f'{numbered}{suffix}' for suffix in suffixes]
        self._taken.update(names)
        return [self.folder / name for name in names]

    def write_json(self, content: Any) -> Path:
        """Write ``predictions.json`` and return its path; raises :class:`UserError` if it cannot be written."""
        file = self.folder / PREDICTIONS
        try:
            write_json(file, content)
        except OSError as error:
            raise UserError(f'{file} cannot be written: {error.strerror or error}') from error
        return file
