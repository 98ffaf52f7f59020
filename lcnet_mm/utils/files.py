"""Files that appear only when they are complete."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from .errors import UserError

_NUMBERS = count()


@contextmanager
def atomic_path(file: str | Path) -> Iterator[Path]:
    """Give a path next to a file to write to, which takes the file's place at the end.

    After an error or an interruption the older file is whole, and what was written is gone.
    """
    file = Path(file)
    # Part of the name only: with a prefix and a suffix, a long name would be longer than file systems allow.
    partial = file.with_name(f'.{file.name[:40]}.{os.getpid()}-{next(_NUMBERS)}.partial')
    try:
        yield partial
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(file: str | Path, content: str | bytes) -> None:
    """Write a file through :func:`atomic_path`."""
    with atomic_path(file) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(file: str | Path, content: Any, indent: int | None = 1) -> None:
    """Write JSON atomically.

    Args:
        file: The file.
        content: JSON types.
        indent: Spaces per level; None writes one line, for large files that nobody reads.
    """
    write_atomically(file, json.dumps(content, indent=indent) + '\n')


def make_folder(folder: str | Path) -> Path:
    """Make a folder with its parents, and check that files can be written to it.

    Returns:
        The folder.

    Raises:
        UserError: it cannot be made, or it cannot be written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError as error:
        raise UserError(f'folder {folder} cannot be made: a file has this name; choose another folder') from error
    except OSError as error:
        raise UserError(f'folder {folder} cannot be written to: {error.strerror or error}') from error
    return folder


def is_same_file(first: str | Path, second: str | Path) -> bool:
    """Return whether two paths name one existing file, through links too."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, by which a converted file names its source."""
    with Path(path).open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
