"""YOLO: a text file for each image, ``CLASS X Y WIDTH HEIGHT`` or ``CLASS X1 Y1 X2 Y2 …`` in shares of the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ...utils.errors import UserError
from .finding import is_image, plain_path, visible_files, visible_images
from .pixels import displayed_size
from .samples import DETECTION, SPLITS, Item, Remarks, Shape, Source

_NAME_FILES = ('classes.txt', '*.names', 'names.txt', 'labels.txt')
# Labels of tools that round may reach this far beyond the image.
_BEYOND = 1.5


def find_yaml(root: Path) -> Path | None:
    """Return the YOLO yaml of a folder, or the file itself.

    Raises:
        UserError: there are several.
    """
    if root.is_file():
        return root if root.suffix in ('.yaml', '.yml') else None
    found = [path for path in sorted(root.glob('*.y*ml')) if isinstance(_load(path), dict) and 'names' in _load(path)]
    if len(found) > 1:
        raise UserError(f'{root} has several yaml files with names ({", ".join(p.name for p in found)}); name one')
    return found[0] if found else None


def read_yolo(root: Path, classes: Sequence[str] | None = None, images: Path | None = None) -> Source:
    """Read a folder with its yaml, or one with ``classes.txt``, or one whose classes are given.

    An image without a text file, or with an empty one, has no object, as in YOLO's own training.

    Args:
        root: The folder or the yaml.
        classes: Names of the classes; by default those of the yaml or of ``classes.txt``.
        images: Folder of the images where they are not beside the labels.

    Raises:
        UserError: the classes or the images are not found, or a line cannot be read.
    """
    remarks = Remarks()
    file = find_yaml(root)
    folder = root if root.is_dir() else root.parent
    names = list(classes) if classes else _names(file, folder)
    splits = _splits(file, folder, remarks) if file and images is None else {}
    listed: list[tuple[Path, str | None]] = [(path, split) for split, paths in splits.items() for path in paths]
    if not listed:
        listed = [(path, None) for path in visible_images(images or folder)]
    if not listed:
        raise UserError(f'{images or folder} has no image')
    labels = {path.stem: path for path in visible_files(folder, '.txt')} if images else {}
    items, used = [], set()
    for path, split in listed:
        text = labels.get(path.stem) or _label_file(path)
        item = Item(_relative(path, folder), path, split=split, labeled=text is not None)
        if text is not None:
            used.add(text.resolve())
            item.size = displayed_size(path)
            item.shapes = _read_labels(text, names, item.size, remarks) if item.size else []
        items.append(item)
    for text in visible_files(folder, '.txt'):
        if text.resolve() not in used and 'labels' in text.parts and not any(text.match(name) for name in _NAME_FILES):
            remarks.add('label file without an image, left out', _relative(text, folder))
    return Source('yolo', DETECTION, names, items, remarks)


def _names(file: Path | None, folder: Path) -> list[str]:
    if file is not None:
        content = _load(file)
        names = content.get('names') if isinstance(content, dict) else None
        if isinstance(names, dict):
            if sorted(names) != list(range(len(names))):
                raise UserError(f'{file}: the numbers of names must be 0 to {len(names) - 1}, got {sorted(names)}')
            names = [names[number] for number in range(len(names))]
        if not isinstance(names, list) or not names:
            raise UserError(f'{file} has no names; list the classes under names')
        if content.get('nc', len(names)) != len(names):
            raise UserError(f'{file}: nc is {content["nc"]}, but there are {len(names)} names; make them equal')
        names = list(map(str, names))
    else:
        found = [path for name in _NAME_FILES for path in sorted(folder.rglob(name))]
        if not found:
            raise UserError(f'{folder} has neither a yaml with names nor classes.txt; give the classes')
        names = [line.strip() for line in found[0].read_text('utf-8-sig').splitlines() if line.strip()]
    if len(set(names)) != len(names):
        raise UserError(f'{file or folder}: a name is used twice among {", ".join(names)}')
    return names


def _load(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text('utf-8-sig'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f'{file} is not a yaml file: {" ".join(str(error).split())}') from error


def _splits(file: Path, folder: Path, remarks: Remarks) -> dict[str, list[Path]]:
    content, result = _load(file), {}
    for split in SPLITS:
        entry = content.get(split)
        if not entry:
            continue
        paths: list[Path] = []
        for text in entry if isinstance(entry, list) else [entry]:
            place = _resolve(str(text), str(content.get('path') or ''), folder, remarks)
            if place is None:
                raise UserError(f'{file}: {split} is {text}, which is neither there nor below {folder}')
            paths += visible_images(place) if place.is_dir() else _read_list(place, folder)
        result[split] = paths
    return result


def _resolve(text: str, base: str, folder: Path, remarks: Remarks) -> Path | None:
    """Return the folder or list that a yaml names, also where the yaml was written on another computer."""
    plain, root = plain_path(text), plain_path(base)
    for path in (folder / root / plain, folder / plain, Path(plain)):
        if path.exists():
            return path
    parts = [part for part in plain.split('/') if part not in ('', '.', '..')]
    for start in range(len(parts)):
        path = folder.joinpath(*parts[start:])
        if path.exists():
            remarks.add(f'path of the yaml that is not on this computer, taken from {folder}', text)
            return path
    return None


def _read_list(file: Path, folder: Path) -> list[Path]:
    paths = []
    for number, line in enumerate(file.read_text('utf-8-sig').splitlines(), 1):
        name = plain_path(line.strip())
        if not name:
            continue
        path = _resolve(name, '', file.parent, Remarks()) or _resolve(name, '', folder, Remarks())
        if path is None or not is_image(path):
            raise UserError(f'{file}, line {number}: {name} is not an image that exists')
        paths.append(path)
    return paths


def _label_file(image: Path) -> Path | None:
    """Return the text file of an image: beside it, or in ``labels`` instead of the last ``images`` of its path."""
    candidates = [image.with_suffix('.txt')]
    parts = list(image.parts)
    if 'images' in parts[:-1]:
        position = len(parts) - 1 - parts[::-1].index('images')
        parts[position] = 'labels'
        candidates.insert(0, Path(*parts).with_suffix('.txt'))
    return next((path for path in candidates if path.is_file()), None)


def _read_labels(file: Path, names: list[str], size: tuple[int, int], remarks: Remarks) -> list[Shape]:
    shapes, scale = [], np.array(size, dtype=float)
    for number, line in enumerate(file.read_text('utf-8-sig').splitlines(), 1):
        words = line.split()
        if not words:
            continue
        place = f'{file}, line {number}'
        try:
            values = np.array(words, dtype=float)
        except ValueError:
            raise UserError(f'{place}: expected numbers, got {line.strip()!r}') from None
        label = int(values[0])
        if label != values[0] or not 0 <= label < len(names):
            raise UserError(
                f'{place}: class {words[0]} is unknown; there are {len(names)} classes, 0 to {len(names) - 1}'
            )
        if len(values) == 6:
            remarks.add('label file with a sixth number, taken for a confidence and left out', file.name)
            values = values[:5]
        if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
            raise UserError(f'{place}: expected a box of 4 numbers or a polygon of pairs, got {len(values) - 1}')
        if not np.isfinite(values).all() or np.abs(values[1:]).max() > _BEYOND:
            raise UserError(f'{place}: expected shares of the image between 0 and 1, got {line.strip()!r}')
        if len(values) == 5:
            center, sides = values[1:3] * scale, values[3:] * scale
            box = tuple(map(float, (*(center - sides / 2), *(center + sides / 2))))
            shapes.append(Shape(names[label], box))  # type: ignore[arg-type]
        else:
            shapes.append(Shape.from_polygons(names[label], [values[1:].reshape(-1, 2) * scale]))
    return shapes


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
