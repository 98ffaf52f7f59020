"""Checks of COCO annotation files, before a training finds out the hard way."""

from __future__ import annotations

import json
import math
import mmap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A box may stick out of its image by this many pixels before it is reported: rounding does that.
BORDER_SLACK = 1.0


class AnnotationError(ValueError):
    """An annotation file that cannot be read as COCO at all."""


@dataclass
class Finding:
    """One kind of fault or remark.

    Attributes:
        text: What it is.
        count: How often it was found.
        error: Whether training or evaluation would go wrong because of it.
        examples: The first few, as ids or names.
    """

    text: str
    count: int
    error: bool
    examples: list[str]

    def format(self) -> str:
        """Return the finding as a line."""
        return f'{"error" if self.error else "note"}: {self.count} x {self.text} ({", ".join(self.examples)})'


@dataclass
class CocoReport:
    """What :func:`check_coco` found.

    Attributes:
        ann_file: The file.
        images: Number of images.
        annotations: Number of annotations.
        per_category: Number of annotations by category name.
        findings: Faults first, remarks after them.
    """

    ann_file: str
    images: int
    annotations: int
    per_category: dict[str, int]
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there are no faults; remarks do not count."""
        return not any(finding.error for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return dict(
            ann_file=self.ann_file,
            images=self.images,
            annotations=self.annotations,
            per_category=self.per_category,
            ok=self.ok,
            findings=[vars(finding) for finding in self.findings],
        )

    def format_table(self) -> str:
        """Return the report as text."""
        lines = [f'{self.ann_file}: {self.images} images, {self.annotations} annotations']
        width = max((len(name) for name in self.per_category), default=0)
        lines += [f'  {name:<{width}}  {count:>8}' for name, count in self.per_category.items()]
        for finding in self.findings:
            lines.append(finding.format())
        lines.append('no errors' if self.ok else 'errors were found')
        return '\n'.join(lines)


def read_categories(ann_file: str | Path) -> list[dict[str, Any]]:
    """Read only the categories of a COCO file, without parsing its hundreds of megabytes of boxes.

    Args:
        ann_file: The JSON file.

    Returns:
        The entries of ``categories``, with ``id`` and ``name``.

    Raises:
        AnnotationError: the file is missing, not JSON, or has no categories.
    """
    path = Path(ann_file)
    if not path.is_file():
        raise AnnotationError(f'annotation file {path} does not exist')
    if path.stat().st_size == 0:
        raise AnnotationError(f'annotation file {path} is empty')
    with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        # An unclosed file was cut off, wherever its categories stand.
        closed = data[max(0, len(data) - 64) :].rstrip().endswith(b'}')
        position = len(data)
        while closed and (position := data.rfind(b'"categories"', 0, position)) >= 0:
            categories = _parse_list(data, position + len(b'"categories"'))
            if categories is not None:
                return categories
    categories = _load(path).get('categories')
    if categories is None or not _are_categories(categories):
        raise AnnotationError(f'annotation file {path} has no categories with id and name')
    result: list[dict[str, Any]] = categories
    return result


def _parse_list(data: mmap.mmap, start: int) -> list[dict[str, Any]] | None:
    """Parse ``: [...]`` at a position, or return None if no list of categories stands there."""
    size = 1 << 16
    while True:
        text = data[start : start + size].decode('utf-8', 'ignore').lstrip()
        if not text.startswith(':'):
            return None
        try:
            value, _ = json.JSONDecoder().raw_decode(text[1:].lstrip())
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


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise AnnotationError(f'annotation file {path} does not exist')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise AnnotationError(f'annotation file {path} is not valid JSON, perhaps truncated: {error}') from error
    if not isinstance(content, dict):
        raise AnnotationError(f"annotation file {path} holds a {type(content).__name__}, expected COCO's dictionary")
    return content


class Findings:
    """Collects findings by their text.

    Args:
        max_listed: Examples that each keeps.
    """

    def __init__(self, max_listed: int) -> None:
        self.max_listed = max_listed
        self.by_text: dict[str, Finding] = {}

    def add(self, text: str, example: object, *, error: bool = True) -> None:
        """Count one more case of this kind."""
        finding = self.by_text.setdefault(text, Finding(text, 0, error, []))
        finding.count += 1
        if len(finding.examples) < self.max_listed:
            finding.examples.append(str(example))

    def sorted(self) -> list[Finding]:
        """Faults first."""
        return sorted(self.by_text.values(), key=lambda finding: not finding.error)


def check_coco(
    ann_file: str | Path,
    img_dir: str | Path | None = None,
    classes: Sequence[str] | None = None,
    max_listed: int = 5,
) -> CocoReport:
    """Look for everything in a COCO detection file that makes a training or an evaluation wrong.

    Args:
        ann_file: The JSON file.
        img_dir: Folder of the images; None does not look at them.
        classes: Class names of the config; None does not compare them.
        max_listed: Examples per finding.

    Raises:
        AnnotationError: the file cannot be read as COCO at all.
    """
    path = Path(ann_file)
    content = _load(path)
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise AnnotationError(f"annotation file {path} has no list '{key}'")
    if not _are_categories(content['categories']):
        raise AnnotationError(f'annotation file {path} has no categories with id and name')
    findings = Findings(max_listed)
    images = _check_images(content['images'], img_dir, findings)
    names = {category['id']: category['name'] for category in content['categories']}
    per_category = _check_boxes(content['annotations'], images, names, findings)
    for name, count in per_category.items():
        if count == 0:
            findings.add('category without a box', name, error=False)
    for name in classes or ():
        if name not in names.values():
            findings.add('class of the config that is no category of the file', name)
    if classes:
        for name in names.values():
            if name not in classes:
                findings.add('category of the file that is no class of the config', name)
    return CocoReport(str(path), len(content['images']), len(content['annotations']), per_category, findings.sorted())


def _check_images(
    entries: list[dict[str, Any]], img_dir: str | Path | None, findings: Findings
) -> dict[Any, dict[str, Any]]:
    images: dict[Any, dict[str, Any]] = {}
    files: set[str] = set()
    for entry in entries:
        missing = [key for key in ('id', 'file_name', 'width', 'height') if key not in entry]
        if missing:
            findings.add(f'image without {" and ".join(missing)}', entry.get('id', entry.get('file_name')))
            continue
        if entry['id'] in images:
            findings.add('image id used twice', entry['id'])
        if entry['file_name'] in files:
            findings.add('image file listed twice', entry['file_name'])
        images[entry['id']] = entry
        files.add(entry['file_name'])
        if img_dir is not None:
            _check_file(Path(img_dir) / entry['file_name'], entry, findings)
    return images


def _check_file(file: Path, entry: dict[str, Any], findings: Findings) -> None:
    from PIL import Image, UnidentifiedImageError

    if not file.is_file():
        findings.add('image file missing', entry['file_name'])
        return
    try:
        with Image.open(file) as image:
            size = image.size
    except (UnidentifiedImageError, OSError):
        findings.add('image file that cannot be opened', entry['file_name'])
        return
    if size != (entry['width'], entry['height']):
        found = f'{entry["file_name"]} is {size[0]}x{size[1]}, listed as {entry["width"]}x{entry["height"]}'
        findings.add('image of another size than listed', found)


def _check_boxes(
    annotations: list[dict[str, Any]],
    images: dict[Any, dict[str, Any]],
    names: dict[Any, str],
    findings: Findings,
) -> dict[str, int]:
    counts: Counter[str] = Counter(dict.fromkeys(names.values(), 0))
    with_box: set[Any] = set()
    ids: set[Any] = set()
    for annotation in annotations:
        label = annotation.get('id')
        if label in ids:
            findings.add('annotation id used twice', label)
        ids.add(label)
        image = images.get(annotation.get('image_id'))
        if image is None:
            findings.add('annotation of an unknown image', label)
        if annotation.get('category_id') not in names:
            findings.add('annotation of an unknown category', label)
        else:
            counts[names[annotation['category_id']]] += 1
        if annotation.get('iscrowd'):
            findings.add('crowd annotation', label, error=False)
        problem = _box_problem(annotation.get('bbox'), image)
        if problem:
            findings.add(problem, label)
        elif image is not None:
            with_box.add(image['id'])
    for key, image in images.items():
        if key not in with_box:
            findings.add('image without a box', image['file_name'], error=False)
    return dict(counts)


def _box_problem(box: Any, image: dict[str, Any] | None) -> str | None:
    """Return what is wrong with a box ``[x, y, width, height]``, or None."""
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, int | float) for value in box):
        return 'box that is not four numbers'
    if not all(math.isfinite(value) for value in box):
        return 'box with NaN or infinity'
    x, y, width, height = box
    if width <= 0 or height <= 0:
        return 'box without area'
    if image is not None and (
        x < -BORDER_SLACK
        or y < -BORDER_SLACK
        or x + width > image['width'] + BORDER_SLACK
        or y + height > image['height'] + BORDER_SLACK
    ):
        return 'box outside its image'
    return None
