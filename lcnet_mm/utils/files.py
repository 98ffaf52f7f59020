"""Files that appear only when they are complete."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def write_atomically(file: str | Path, content: str | bytes) -> None:
    """Write a file next to its place and rename it, so that an interruption leaves the older one whole."""
    file = Path(file)
    partial = file.with_name(f'.{file.name}.partial')
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(partial, file)


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
