"""Reading lists line by line, as mmengine does, with what is wrong reported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .coco_file import AnnotationError
from .report import Findings

_BYTE_ORDER_MARK = '\ufeff'


def read_lines(file: Path, findings: Findings) -> Iterator[tuple[int, str]]:
    """Yield the numbers and texts of the lines, without line ends.

    Raises:
        AnnotationError: the file does not exist or is not text.
    """
    if not os.path.isfile(file):
        raise AnnotationError(f'list {file} does not exist')
    try:
        data = file.read_bytes()
    except OSError as error:
        raise AnnotationError(f'list {file} cannot be read: {error.strerror}') from error
    if b'\0' in data:
        raise AnnotationError(f'list {file} is not a text file in UTF-8')
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data.count(b'\n', 0, error.start)
        findings.add('list-encoding', f'{file}, line {before + 1}')
        text = data.decode('latin-1')
    if text.startswith(_BYTE_ORDER_MARK):
        findings.add('list-encoding', f'{file}, line 1')
        text = text[1:]
    lines = text.split('\n')
    for number, line in enumerate(lines if lines[-1] else lines[:-1], 1):
        yield number, line.rstrip('\r')
