"""Checks of data in Pascal VOC's layout, as mmdet's loader reads it."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .boxes import check_boxes
from .coco_file import AnnotationError
from .columns import find_repeated
from .files import FileChecks, ImageFile, check_files
from .report import DataFacts, Findings, Report, Summary, format_counts
from .textfiles import read_lines

# The loader asks for this suffix whatever the images have.
_SUFFIX = '.jpg'


@dataclass(frozen=True)
class VocOptions:
    """How a folder will be used.

    Attributes:
        ann_file: The list of image names.
        images: Folder of the images.
        annotations: Folder of the XML files.
        classes: Class names of the config; None takes those that occur.
        test_mode: Whether it is evaluated: nothing is filtered then.
        filter_empty: Whether training leaves out images without a box.
        min_size: Training leaves out images whose shorter side is smaller.
        box_min_size: Training takes smaller boxes for ignored ones.
    """

    ann_file: Path
    images: Path
    annotations: Path
    classes: Sequence[str] | None = None
    test_mode: bool = False
    filter_empty: bool = False
    min_size: int = 0
    box_min_size: int = 0


@dataclass
class _Object:
    """An object of an annotation file: name, box ``[x1, y1, x2, y2]`` and size of its image."""

    image: int
    where: str
    name: str
    box: list[float]
    size: tuple[float, float]
    difficult: bool


def check_voc(
    root: str | Path, classes: Sequence[str] | None = None, *, decode: bool = False, max_listed: int = 5
) -> Report:
    """Check a folder with ``Annotations``, ``JPEGImages`` and lists in ``ImageSets/Main``.

    Args:
        root: The folder, such as ``VOCdevkit/VOC2007``.
        classes: Class names of the config; None does not compare them.
        decode: Whether to decode the images and not only to read their headers.
        max_listed: Examples per finding.

    Returns:
        The report on each list that is not of a single class; without lists on all annotation files.

    Raises:
        AnnotationError: the folder is not in VOC's layout.
    """
    root = Path(root)
    if not (root / 'Annotations').is_dir() or not (root / 'JPEGImages').is_dir():
        raise AnnotationError(f'{root} has no folders Annotations and JPEGImages')
    report = Report()
    lists = sorted(path for path in (root / 'ImageSets' / 'Main').glob('*.txt') if '_' not in path.stem)
    for ann_file in lists or [root / 'Annotations']:
        findings = Findings(str(ann_file), max_listed)
        options = VocOptions(ann_file, root / 'JPEGImages', root / 'Annotations', classes)
        report.add(findings, inspect_voc(findings, options, FileChecks(decode=decode)).summary)
    return report


def inspect_voc(findings: Findings, options: VocOptions, file_checks: FileChecks) -> DataFacts:
    """Check the images of a list and their annotations.

    Raises:
        AnnotationError: the list cannot be read.
    """
    names = list(_read_names(options.ann_file, findings))
    repeated = find_repeated(names, np.ones(len(names), bool))
    findings.add_rows('voc-list-duplicate', repeated, lambda row: names[row])
    files: list[ImageFile] = []
    objects: list[_Object] = []
    for index, name in enumerate(names):
        size, found = _read_annotation(options.annotations / f'{name}.xml', index, findings)
        files.append(ImageFile(options.images / f'{name}{_SUFFIX}', size))
        objects += found
    kept = _check_objects(objects, options, findings)
    per_class = Counter(dict.fromkeys(options.classes or (), 0))
    per_class.update(entry.name for entry, keep in zip(objects, kept, strict=True) if keep and not entry.difficult)
    with_box = {entry.image for entry, keep in zip(objects, kept, strict=True) if keep}
    small = {i for i, file in enumerate(files) if file.size is not None and min(file.size) < options.min_size}
    left_out = {'objects of other classes': int((~kept).sum())}
    left_out['objects that are difficult'] = sum(entry.difficult for entry in objects)
    used = set(range(len(names)))
    if not options.test_mode:
        left_out['images smaller than min_size'] = len(small)
        used -= small
        if options.filter_empty:
            left_out['images without a box'] = len(used - with_box)
            used &= with_box
    if not sum(per_class.values()) or not used & with_box:
        reasons = format_counts(left_out)
        findings.add('boxes-none', text=f'no box is left for the loader{"; left out are " if reasons else ""}{reasons}')
    check_files(files, findings, file_checks)
    _explain_suffixes(files, findings)
    summary = Summary(
        str(options.ann_file), 'VOC', len(names), len(used), 'boxes', dict(sorted(per_class.items())), left_out
    )
    return DataFacts(summary, [file.path for file in files], list(options.classes) if options.classes else None)


def _read_names(ann_file: Path, findings: Findings) -> Iterator[str]:
    if ann_file.is_dir():
        yield from sorted(path.stem for path in ann_file.glob('*.xml'))
        return
    for number, line in read_lines(ann_file, findings):
        if not line.strip() or len(line.split()) > 1 or '\\' in line or line != line.strip():
            findings.add('voc-list', f'{ann_file}, line {number}: {line!r}')
        if line.strip():
            yield line.split()[0]


def _explain_suffixes(files: list[ImageFile], findings: Findings) -> None:
    """Say so where images are missing only because the loader asks for ``.jpg``."""
    others = Counter(
        other.suffix
        for file in files[:1000]
        if not os.path.isfile(file.path)
        for other in (file.path.with_suffix(suffix) for suffix in ('.png', '.jpeg', '.JPG', '.bmp'))
        if os.path.isfile(other)
    )
    for suffix, count in others.items():
        text = f"image that exists with {suffix}, while mmdet's loader of VOC opens {_SUFFIX} only"
        findings.add('file-missing', text=text, count=count)


def _read_annotation(path: Path, index: int, findings: Findings) -> tuple[tuple[int, int] | None, list[_Object]]:
    """Return the size that an annotation file says and its objects."""
    try:
        root = ElementTree.parse(path).getroot()
    except (FileNotFoundError, NotADirectoryError):
        findings.add('voc-file-missing', path)
        return None, []
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        findings.add('voc-xml', f'{path}: {error}')
        return None, []
    size = None
    if root.find('size') is not None:
        width, height = (_to_int(_find_text(root, 'size', key)) for key in ('width', 'height'))
        if width is None or height is None or width <= 0 or height <= 0:
            findings.add('voc-size', path)
        else:
            size = width, height
    objects = []
    for number, entry in enumerate(root.findall('object'), 1):
        where = f'{path}, object {number}'
        box = [_to_float(_find_text(entry, 'bndbox', key)) for key in ('xmin', 'ymin', 'xmax', 'ymax')]
        name, difficult = (
            entry.findtext('name'),
            0 if entry.find('difficult') is None else _to_int(entry.findtext('difficult')),
        )
        if not name or not name.strip() or difficult is None or None in box:
            findings.add('voc-field', where)
            continue
        corners = [value for value in box if value is not None]
        objects.append(_Object(index, where, name, corners, size or (np.nan, np.nan), bool(difficult)))
    return size, objects


def _find_text(element: ElementTree.Element, *names: str) -> str | None:
    """Return the text of the first element of a name inside the first one of another name, as the loader does."""
    for name in names:
        found = element.find(name)
        if found is None:
            return None
        element = found
    return element.text


def _to_int(text: str | None) -> int | None:
    """Return what the loader reads with int(), or None where that fails."""
    try:
        return int(text or '')
    except ValueError:
        return None


def _to_float(text: str | None) -> float | None:
    try:
        return float(text or '')
    except ValueError:
        return None


def _check_objects(objects: list[_Object], options: VocOptions, findings: Findings) -> np.ndarray:
    """Check boxes and names; return which objects the loader keeps."""
    if not objects:
        return np.zeros(0, bool)
    corners = np.array([entry.box for entry in objects])
    sizes = np.array([entry.size for entry in objects])
    with np.errstate(invalid='ignore', over='ignore'):
        # VOC counts pixels from 1, and both corners belong to the box.
        boxes = np.concatenate([corners[:, :2] - 1, corners[:, 2:] - corners[:, :2]], 1)
    check_boxes(boxes, sizes, findings, lambda row: objects[row].where, np.ones(len(objects), bool))
    if options.classes is None:
        return np.ones(len(objects), bool)
    plain = {name.strip().lower(): name for name in options.classes}
    kept = np.array([entry.name in options.classes for entry in objects])
    for row in np.flatnonzero(~kept):
        entry = objects[row]
        near = plain.get(entry.name.strip().lower())
        example = f'{entry.where}: {entry.name!r}'
        if near:
            findings.add('voc-name', f'{example}, class {near!r}')
        else:
            findings.add('voc-class-unknown', example)
    return kept
