"""Reading COCO annotation files, whole or their categories only."""

from __future__ import annotations

import gc
import json
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

_LISTS = ('images', 'annotations', 'categories')


class AnnotationError(ValueError):
    """An annotation file that cannot be read at all."""


def read_categories(ann_file: str | Path) -> list[Entry]:
    """Read only the categories of a COCO file, without parsing its hundreds of megabytes of boxes.

    Args:
        ann_file: The JSON file.

    Returns:
        The entries of ``categories``, with ``id`` and ``name``.

    Raises:
        AnnotationError: the file is missing, not JSON, or has no categories.
    """
    path = Path(ann_file)
    _require_file(path)
    with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        # An unclosed file was cut off, wherever its categories stand.
        closed = data[max(0, len(data) - 64) :].rstrip().endswith(b'}')
        position = len(data)
        while closed and (position := data.rfind(b'"categories"', 0, position)) >= 0:
            categories = _parse_list(data, position + len(b'"categories"'))
            if categories is not None:
                return categories
    listed: list[Entry] = read_coco(path)['categories']
    if not _are_categories(listed):
        raise AnnotationError(f'annotation file {path} has no categories with id and name')
    return listed


def read_coco(ann_file: str | Path) -> dict[str, Any]:
    """Read a COCO file.

    Returns:
        The content, whose ``images``, ``annotations`` and ``categories`` are lists. Their entries may be anything.

    Raises:
        AnnotationError: the file is missing, not JSON, or has not these three lists.
    """
    path = Path(ann_file)
    _require_file(path)
    try:
        with _without_garbage_collection():
            content = json.loads(_read_text(path))
    except OSError as error:
        raise AnnotationError(f'annotation file {path} cannot be read: {error.strerror}') from error
    except RecursionError as error:
        raise AnnotationError(f'annotation file {path} is nested too deeply') from error
    except ValueError as error:
        raise AnnotationError(f'annotation file {path} is not valid JSON, perhaps truncated: {error}') from error
    if isinstance(content, list):
        raise AnnotationError(
            f"annotation file {path} holds a list, expected COCO's dictionary; is it a file of results?"
        )
    if not isinstance(content, dict):
        raise AnnotationError(f"annotation file {path} holds a {type(content).__name__}, expected COCO's dictionary")
    for key in _LISTS:
        if not isinstance(content.get(key), list):
            raise AnnotationError(f"annotation file {path} has no list '{key}'")
    if not content['categories']:
        raise AnnotationError(f'annotation file {path} has no categories with id and name')
    return content


def _read_text(path: Path) -> str:
    """Read JSON of any encoding; unlike in ``json.loads``, the bytes are gone before it is parsed."""
    data = path.read_bytes()
    return data.decode(json.detect_encoding(data), 'surrogatepass')


def has_plain_encoding(path: Path) -> bool:
    """Whether a file begins like plain UTF-8 JSON, which is all that pycocotools can read."""
    with path.open('rb') as file:
        start = file.read(4)
    return not start.startswith((b'\xef\xbb\xbf', b'\xff\xfe', b'\xfe\xff')) and b'\0' not in start


def _require_file(path: Path) -> None:
    if not os.path.isfile(path):
        raise AnnotationError(f'annotation file {path} does not exist')
    if path.stat().st_size == 0:
        raise AnnotationError(f'annotation file {path} is empty')


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Do not look for cycles while millions of objects are made, none of which is garbage: twice as fast."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parse_list(data: mmap.mmap, start: int) -> list[Entry] | None:
    """Parse ``: [...]`` at a position, or return None if no list of categories stands there."""
    size = 1 << 16
    while True:
        text = data[start : start + size].decode('utf-8', 'ignore').lstrip()
        if not text.startswith(':'):
            return None
        try:
            value, _ = json.JSONDecoder().raw_decode(text[1:].lstrip())
        except RecursionError:
            return None
        except ValueError:
            if start + size >= len(data):
                return None
            size *= 8
            continue
        return value if _are_categories(value) else None


def _are_categories(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(entry, dict) and 'id' in entry and 'name' in entry for entry in value)
    )
