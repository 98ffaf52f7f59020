"""What all readers return: images with their labels, and remarks on what was left out or changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...utils.errors import UserError

Box = tuple[float, float, float, float]
Size = tuple[int, int]

DETECTION, SEGMENTATION, CLASSIFICATION = 'detect', 'segment', 'classify'
SPLITS = ('train', 'val', 'test')
# Names of folders that hold a split.
SPLIT_FOLDERS = {
    'train': 'train', 'training': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """One labeled object, in pixels.

    Attributes:
        label: Name of its class.
        box: ``(x1, y1, x2, y2)``.
        polygons: Its outlines, each ``(N, 2)``; none if only the box was drawn.
        crowd: Whether it stands for a group of objects.
    """

    label: str
    box: Box
    polygons: tuple[np.ndarray, ...] = ()
    crowd: bool = False

    @classmethod
    def from_polygons(cls, label: str, polygons: Iterable[Any]) -> Shape:
        """Make an object of one or more outlines."""
        arrays = tuple(np.asarray(polygon, dtype=float).reshape(-1, 2) for polygon in polygons)
        points = np.concatenate(arrays)
        (left, top), (right, bottom) = points.min(0), points.max(0)
        return cls(label, (float(left), float(top), float(right), float(bottom)), arrays)

    @classmethod
    def from_mask(cls, label: str, mask: np.ndarray, offset: tuple[float, float] = (0.0, 0.0)) -> Shape | None:
        """Make an object of the outer outlines of a mask ``(H, W)``; None if it has no pixel.

        Args:
            label: Name of its class.
            mask: True or nonzero inside.
            offset: Where the upper left corner of the mask lies in the image.
        """
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outlines = [contour.reshape(-1, 2) + offset for contour in contours if len(contour) >= 3]
        if not outlines:
            return None
        left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
        x, y = left + offset[0], top + offset[1]
        return replace(cls.from_polygons(label, outlines), box=(x, y, x + width, y + height))

    def mapped(self, points_to: Any) -> Shape:
        """Return the object after a map of its points, which takes and returns ``(N, 2)``."""
        left, top, right, bottom = self.box
        corners = points_to(np.array([[left, top], [right, bottom]]))
        (x1, y1), (x2, y2) = corners.min(0), corners.max(0)
        box = (float(x1), float(y1), float(x2), float(y2))
        return replace(self, box=box, polygons=tuple(points_to(polygon) for polygon in self.polygons))


@dataclass
class Item:
    """An image and its labels.

    Attributes:
        name: What it is called in messages, and where it lies below the source.
        path: The file; None if ``content`` is all there is.
        size: Width and height that the labels were made for, or None if they do not say.
        shapes: Objects of a detection or segmentation set.
        label: Class of a classification set.
        mask: Label map of a segmentation set.
        split: 'train', 'val' or 'test' if the source says so.
        labeled: Whether there is a label file, which may have no object.
        content: The bytes of an image that is inside its label file.
    """

    name: str
    path: Path | None
    size: Size | None = None
    shapes: list[Shape] = field(default_factory=list)
    label: str | None = None
    mask: Path | None = None
    split: str | None = None
    labeled: bool = True
    content: bytes | None = None


class Remarks:
    """What was left out, changed or chosen, counted by its text."""

    def __init__(self) -> None:
        self._examples: dict[str, list[str]] = {}

    def add(self, text: str, example: str = '') -> None:
        """Count one case of something, or state a fact that has no example."""
        self._examples.setdefault(text, []).append(example)

    def lines(self, examples: int = 3) -> list[str]:
        """Return one line for each text, with the first few examples."""
        result = []
        for text, found in self._examples.items():
            named = [example for example in found if example]
            more = ', …' if len(named) > examples else ''
            result.append(f'{len(named)} x {text} ({", ".join(named[:examples])}{more})' if named else text)
        return result


@dataclass
class Source:
    """A data set as it was read.

    Attributes:
        format: Name of the format.
        task: 'detect', 'segment' or 'classify'.
        classes: Names in the order of their labels.
        items: The images.
        remarks: What was left out, changed or chosen.
    """

    format: str
    task: str
    classes: list[str]
    items: list[Item]
    remarks: Remarks


def classes_of(items: Sequence[Item], given: Sequence[str] | None, place: Path) -> list[str]:
    """Return the classes: the given ones, or the sorted names of all labels.

    Raises:
        UserError: an object has a class that was not given.
    """
    if given is None:
        return sorted({shape.label for item in items for shape in item.shapes} | {i.label for i in items if i.label})
    for item in items:
        for label in [shape.label for shape in item.shapes] + ([item.label] if item.label else []):
            if label not in given:
                raise UserError(
                    f'{place}: {item.name} has the class {label!r}, which is not among the given classes '
                    f'{", ".join(given)}'
                )
    return list(given)
