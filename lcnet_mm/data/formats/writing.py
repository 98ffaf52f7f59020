"""Writing data sets: COCO files, images with label maps, folders of classes."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...utils.errors import UserError
from ...utils.files import write_json
from ...utils.images import write_image
from .folders import read_mask
from .pixels import read_header
from .samples import CLASSIFICATION, DETECTION, SEGMENTATION, Item, Source

SUMMARY = 'dataset.json'


def write(
    read: Source, chosen: list[tuple[Item, str]], target: Path, root: Path, link: bool
) -> dict[str, dict[str, Any]]:
    """Write images and labels, and return the counts of each split.

    Args:
        read: The data set.
        chosen: The images to write and their splits.
        target: The folder.
        root: Folder of the source, where ``labelmap.txt`` of its masks is.
        link: Whether to link the images instead of copying them.

    Raises:
        UserError: a mask cannot be read or has another size than its image.
    """
    counts: dict[str, dict[str, Any]] = {}
    taken: set[str] = set()
    parts: dict[str, list[tuple[Item, str]]] = {}
    # mmseg looks for images of one suffix.
    mixed = read.task == SEGMENTATION and len({Path(item.name).suffix.lower() for item, _ in chosen}) > 1
    for item, split in chosen:
        place = Path(split, item.label or '') if read.task == CLASSIFICATION else Path(split)
        name = _free_name(item, place, taken)
        folder = target / 'images' / place if read.task == SEGMENTATION else target / place
        if mixed and not name.endswith('.png'):
            name = f'{Path(name).stem}.png'
            _encode_image(item, folder / name)
        else:
            _place_image(item, folder / name, link)
        parts.setdefault(split, []).append((item, name))
    if mixed:
        read.remarks.add('the images have several suffixes, of which mmseg reads one; all were written as PNG')
    for split, entries in parts.items():
        if read.task == DETECTION:
            counts[split] = _write_coco(read.classes, entries, target / 'annotations' / f'{split}.json')
        elif read.task == CLASSIFICATION:
            per_class = Counter(item.label for item, _ in entries)
            counts[split] = dict(images=len(entries), empty=0, per_class=dict(per_class))
            for label in read.classes:
                # mmpretrain numbers the folders: each split has all of them.
                (target / split / label).mkdir(parents=True, exist_ok=True)
        else:
            counts[split] = _write_label_maps(read.classes, entries, target / 'labels' / split, root)
    return counts


def write_summary(target: Path, content: dict[str, Any]) -> None:
    """Write what the data set is, for ``lcnet init``."""
    write_json(target / SUMMARY, content)


def _free_name(item: Item, place: Path, taken: set[str]) -> str:
    """Return a name that no other image of the folder has, whatever its suffix or the case of its letters."""
    path = Path(item.name)
    stems = [path.stem, '_'.join(path.with_suffix('').parts[-3:]).replace(':', '_').strip('./')]
    stems += [f'{path.stem}_{number}' for number in range(2, len(taken) + 3)]
    stem = next(stem for stem in stems if str(place / stem).lower() not in taken)
    taken.add(str(place / stem).lower())
    return stem + path.suffix.lower()


def _place_image(item: Item, target: Path, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if item.path is None:
        target.write_bytes(item.content or b'')
    elif link:
        target.symlink_to(os.path.abspath(item.path))
    else:
        shutil.copyfile(item.path, target)


def _encode_image(item: Item, target: Path) -> None:
    """Write an image as PNG, turned as the loader turns it."""
    data = np.frombuffer(item.content if item.path is None else item.path.read_bytes(), np.uint8)  # type: ignore[arg-type]
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f'{item.name} cannot be decoded')
    target.parent.mkdir(parents=True, exist_ok=True)
    write_image(target, image)


def _write_coco(classes: list[str], entries: list[tuple[Item, str]], file: Path) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    per_class: Counter[str] = Counter()
    for number, (item, name) in enumerate(entries, 1):
        assert item.size is not None
        images.append(dict(id=number, file_name=name, width=item.size[0], height=item.size[1]))
        for shape in item.shapes:
            x1, y1, x2, y2 = (round(value, 3) for value in shape.box)
            polygons = [np.round(polygon, 2).ravel().tolist() for polygon in shape.polygons if len(polygon) >= 3]
            area = sum(_area(polygon) for polygon in shape.polygons) or (x2 - x1) * (y2 - y1)
            per_class[shape.label] += 1
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=number,
                    category_id=classes.index(shape.label) + 1,
                    bbox=[x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)],
                    area=round(min(area, (x2 - x1) * (y2 - y1)), 3),
                    segmentation=polygons,
                    iscrowd=int(shape.crowd),
                )
            )
    categories = [dict(id=number, name=name) for number, name in enumerate(classes, 1)]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, dict(images=images, annotations=annotations, categories=categories), indent=None)
    empty = sum(not item.shapes for item, _ in entries)
    return dict(images=len(images), empty=empty, per_class=dict(per_class))


def _area(polygon: np.ndarray) -> float:
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def _write_label_maps(classes: list[str], entries: list[tuple[Item, str]], folder: Path, root: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    per_class: Counter[str] = Counter()
    empty = 0
    for item, name in entries:
        labels = _label_map(item, classes, root)
        present = [classes[index] for index in np.unique(labels) if index < len(classes)]
        per_class.update(present)
        empty += present in ([], ['background'])
        write_image(folder / f'{Path(name).stem}.png', labels)
    return dict(images=len(entries), empty=empty, per_class=dict(per_class))


def _label_map(item: Item, classes: list[str], root: Path) -> np.ndarray:
    """Return the label map of an image as it is displayed; later objects cover earlier ones."""
    assert item.size is not None
    width, height = item.size
    if item.mask is None:
        labels = np.zeros((height, width), np.uint8)
        for shape in item.shapes:
            x1, y1, x2, y2 = shape.box
            corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
            outlines = [np.round(polygon).astype(np.int32) for polygon in shape.polygons or (corners,)]
            cv2.fillPoly(labels, outlines, classes.index(shape.label))
        return labels
    labels = read_mask(item.mask, root, classes)
    header = read_header(item.path) if item.path else None
    if labels.shape == (height, width):
        return labels
    if header and labels.shape == header.stored[::-1]:
        return _turn(labels, header.orientation)
    raise UserError(f'{item.mask} is {labels.shape[1]}x{labels.shape[0]}, its image is {width}x{height}')


def _turn(labels: np.ndarray, orientation: int) -> np.ndarray:
    """Return a label map of the stored pixels as the EXIF orientation displays it."""
    if orientation in (5, 6, 7, 8):
        labels = labels.T
    if orientation in (2, 3, 6, 7):
        labels = labels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        labels = labels[::-1]
    return np.ascontiguousarray(labels)
