"""What a report says, before it becomes a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Figure:
    """A drawing of a report.

    Attributes:
        title: What it shows.
        data: The bytes of an image file.
        text: How to read it.
        kind: 'svg+xml', 'png' or 'jpeg'.
        min_width: Pixels of a screen below which details cannot be read; a narrower one scrolls.
    """

    title: str
    data: bytes
    text: str = ''
    kind: str = 'svg+xml'
    min_width: int = 0

    @property
    def wide(self) -> bool:
        """Whether it takes the whole width of the page."""
        return self.min_width > 600

    @property
    def source(self) -> str:
        """The image as an address that needs no file."""
        return f'data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}'


@dataclass
class Table:
    """A table of a report.

    Attributes:
        columns: Names of the columns.
        rows: Their values; the first one is a name.
        title: What it shows.
        text: How to read it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ''
    text: str = ''


@dataclass
class Content:
    """What an evaluation of any task found.

    Attributes:
        classes: A row for each class.
        data: What was evaluated on, as names and values.
        values: What the JSON file has beside metrics and data.
        tables: Further tables.
        figures: Curves and matrices.
        worst: The images with the most errors.
        worst_text: How to read them.
        notes: What limits the report, a line each.
    """

    classes: Table
    data: dict[str, Any]
    values: dict[str, Any]
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    worst: list[Figure] = field(default_factory=list)
    worst_text: str = ''
    notes: list[str] = field(default_factory=list)


def confusions(matrix: np.ndarray, names: Sequence[str], unit: str, count: int = 15) -> Table:
    """Return the most frequent confusions of a matrix with true classes in rows.

    Args:
        matrix: ``(C, C)`` counts.
        names: Name of each row and column.
        unit: What is counted.
        count: Number of rows of the table.
    """
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    shares = wrong / np.maximum(matrix.sum(1, keepdims=True), 1)
    order = np.argsort(-wrong, axis=None, kind='stable')[:count]
    rows = [
        (names[true], names[other], int(wrong[true, other]), float(shares[true, other]))
        for true, other in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[true, other]
    ]
    return Table(('true', 'predicted as', unit, 'share of the true'), rows, 'Most frequent confusions')


def describe_shapes(images: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the number of images, and their median width and height where they are known."""
    shapes = np.array([image['shape'] for image in images if len(image['shape']) == 2]).reshape(-1, 2)
    size = {}
    if len(shapes):
        height, width = np.median(shapes, 0).astype(int).tolist()
        size = {'median size': f'{width}x{height}'}
    return {'images': len(images), **size}


def file_name(image: dict[str, Any]) -> str:
    """Return the name of an image's file, with its folder."""
    return '/'.join(Path(image['path']).parts[-2:])


def mean(values: np.ndarray) -> float | None:
    """Return the mean of the values that are not NaN; None where there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
