"""Files that appear only when they are complete."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(file: str | Path) -> Iterator[Path]:
    """Give a path next to a file to write to, which takes the file's place at the end.

    After an error or an interruption the older file is whole, and what was written is gone.
    """
    file = Path(file)
    partial = file.with_name(f'.{file.name}.{os.getpid()}.partial')
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


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, by which a converted file names its source."""
    with Path(path).open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
