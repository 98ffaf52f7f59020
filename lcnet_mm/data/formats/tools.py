"""Readers of what labeling tools export: Pascal VOC, Labelme, CVAT, Label Studio, COCO."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from ...utils.errors import UserError
from .finding import ImageIndex, plain_path, visible_files
from .geometry import ellipse_outline, rotate_points
from .samples import CLASSIFICATION, DETECTION, SPLIT_FOLDERS, SPLITS, Item, Remarks, Shape, Size, Source, classes_of

_Classes = Sequence[str] | None


def read_voc(root: Path, classes: _Classes = None, images: Path | None = None) -> Source:
    """Read Pascal VOC: an XML file for each image, anywhere below the folder, and its lists as splits.

    Coordinates are taken as they stand, as mmdet's ``VOCDataset`` does.

    Raises:
        UserError: a file is not XML or has an object without a name or a box.
    """
    remarks, index, items = Remarks(), ImageIndex([images or root]), []
    splits = {
        line.split()[0]: split
        for split in SPLITS
        for file in visible_files(root, '.txt')
        if file.stem == split and 'ImageSets' in file.parts
        for line in file.read_text('utf-8-sig').splitlines()
        if line.strip()
    }
    for file in visible_files(root, '.xml'):
        tree = _parse_xml(file)
        if tree.tag != 'annotation':
            continue
        named = (tree.findtext('filename') or '').strip()
        path = index.find_stem(file.stem, file.parent) or index.find(named, file.parent)
        if path is None:
            remarks.add('label file without an image, left out', _name(file, root))
            continue
        size = _size(tree.findtext('size/width'), tree.findtext('size/height'))
        item = Item(_name(path, root), path, size, split=splits.get(file.stem))
        for entry in tree.iter('object'):
            label = (entry.findtext('name') or '').strip()
            try:
                box = tuple(float(entry.findtext(f'bndbox/{key}') or '') for key in ('xmin', 'ymin', 'xmax', 'ymax'))
            except ValueError:
                label = ''
            if not label:
                raise UserError(f'{file}: an object has no name, or no bndbox with xmin, ymin, xmax and ymax')
            item.shapes.append(Shape(label, box))  # type: ignore[arg-type]
        items.append(item)
    _add_unlabeled(items, index, root)
    return Source('voc', DETECTION, classes_of(items, classes, root), items, remarks)


def read_labelme(root: Path, classes: _Classes = None, images: Path | None = None) -> Source:
    """Read Labelme: a JSON file for each image, with polygons, rectangles, circles or masks.

    Raises:
        UserError: a shape cannot be read.
    """
    remarks, index, items = Remarks(), ImageIndex([images or root]), []
    for file in visible_files(root, '.json'):
        content = load_json(file)
        if not is_labelme(content):
            continue
        path = index.find(str(content.get('imagePath') or ''), file.parent) or index.find_stem(file.stem, file.parent)
        embedded = base64.b64decode(content['imageData']) if path is None and content.get('imageData') else None
        if path is None and embedded is None:
            remarks.add('label file without an image, left out', _name(file, root))
            continue
        size = _size(content.get('imageWidth'), content.get('imageHeight'))
        name = _name(path, root) if path else _name(file.with_suffix('.jpg'), root)
        item = Item(name, path, size, content=embedded)
        for shape in content['shapes']:
            try:
                made = _labelme_shape(shape)
            except (KeyError, TypeError, ValueError, OSError) as error:
                raise UserError(f'{file}: a shape cannot be read ({error})') from error
            if made is None:
                remarks.add(f'{shape.get("shape_type")} of Labelme, which has no area, left out', _name(file, root))
            else:
                item.shapes.append(made)
        items.append(item)
    _add_unlabeled(items, index, root)
    return Source('labelme', DETECTION, classes_of(items, classes, root), items, remarks)


def read_cvat(root: Path, classes: _Classes = None, images: Path | None = None) -> Source:
    """Read CVAT's own XML, "CVAT for images" or "CVAT for video".

    Raises:
        UserError: it cannot be read, or has none of the images.
    """
    file = root if root.is_file() else next(iter(find_cvat(root)))
    tree, remarks = _parse_xml(file), Remarks()
    index = ImageIndex([images or file.parent])
    names = [text.strip() for node in tree.iter('label') if (text := node.findtext('name'))]
    items: list[Item] = []
    frames: dict[int, list[tuple[str, ElementTree.Element]]] = {}
    for track in tree.iter('track'):
        for node in track:
            if node.get('outside') != '1':
                frames.setdefault(int(node.get('frame', 0)), []).append((track.get('label', ''), node))
    entries = [
        (image.get('name', ''), image, [(node.get('label', ''), node) for node in image])
        for image in tree.iter('image')
    ]
    original = tree.find('.//original_size')
    entries += [(f'frame_{number:06d}', original, nodes) for number, nodes in sorted(frames.items())]  # type: ignore[misc]
    for name, node, shapes in entries:
        path = index.find(name) or index.find_stem(Path(plain_path(name)).stem)
        if path is None:
            remarks.add('label without an image, left out', name)
            continue
        item = Item(_name(path, file.parent), path, _cvat_size(node))
        for label, shape in shapes:
            try:
                made = _cvat_shape(label, shape)
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(f'{file}: a {shape.tag} of {name} cannot be read ({error})') from error
            if shape.tag == 'tag':
                item.label = label
            elif made is None:
                remarks.add(f'{shape.tag} of CVAT, which has no area, left out', name)
            else:
                item.shapes.append(made)
        items.append(item)
    _add_unlabeled(items, index, file.parent)
    task = DETECTION if any(item.shapes for item in items) else CLASSIFICATION
    return Source('cvat', task, classes_of(items, classes or names or None, file), items, remarks)


def read_label_studio(root: Path, classes: _Classes = None, images: Path | None = None) -> Source:
    """Read Label Studio's JSON or JSON-MIN: rectangles, polygons, ellipses and choices.

    Raises:
        UserError: there are several exports, or one with brush masks, which Label Studio exports as PNG.
    """
    file = root if root.is_file() else _only(find_label_studio(root), root)
    remarks, index, items = Remarks(), ImageIndex([images or file.parent]), []
    for number, task in enumerate(load_json(file)):
        named = _label_studio_image(task)
        path = index.find(named or '', file.parent)
        if path is None:
            remarks.add('task without an image here, left out', str(named or f'task {task.get("id", number)}'))
            continue
        item = Item(_name(path, file.parent), path)
        results, item.labeled = _label_studio_results(task)
        for result in results:
            size = _size(result.get('original_width'), result.get('original_height'))
            value = {**result, **result.get('value', {})}
            labels: list[Any] = next(
                (value[key] for key in value if key.endswith('labels') and isinstance(value[key], list)), []
            )
            if 'rle' in value:
                raise UserError(f'{file}: {named} has a brush mask; export "Brush labels to PNG" and convert the masks')
            if value.get('choices'):
                item.label = str(value['choices'][0])
            elif not labels or not size:
                remarks.add(
                    f'{result.get("type", "result")} of Label Studio without a label or a size, left out', item.name
                )
            else:
                item.size = size
                item.shapes.append(_label_studio_shape(str(labels[0]), value, size))
        items.append(item)
    _add_unlabeled(items, index, file.parent)
    task_kind = DETECTION if any(item.shapes for item in items) else CLASSIFICATION
    return Source('label-studio', task_kind, classes_of(items, classes, file), items, remarks)


def read_coco(root: Path, classes: _Classes = None, images: Path | None = None) -> Source:
    """Read one or more COCO files; a file is a split by its name or that of its folder.

    Raises:
        UserError: an annotation has no box, or names an unknown image or category.
    """
    files = [root] if root.is_file() else find_coco(root)
    remarks, index, items = Remarks(), ImageIndex([images or _coco_folder(files[0])]), []
    names: list[str] = []
    for file in files:
        content = load_json(file)
        split = None
        if len(files) > 1:
            # Roboflow names the folder by the split, and all files alike.
            named = next((split for split in SPLITS if split in file.stem), None)
            split = named or SPLIT_FOLDERS.get(file.parent.name.lower())
        categories = {entry['id']: str(entry['name']) for entry in content['categories']}
        names += [name for name in categories.values() if name not in names]
        by_id: dict[Any, Item] = {}
        for entry in content['images']:
            path = index.find(str(entry.get('file_name')), file.parent)
            if path is None:
                remarks.add('image of the file that is not here, left out', str(entry.get('file_name')))
                by_id[entry['id']] = Item('', None)
                continue
            size = _size(entry.get('width'), entry.get('height'))
            by_id[entry['id']] = Item(_name(path, file.parent), path, size, split=split)
            items.append(by_id[entry['id']])
        for entry in content.get('annotations') or []:
            item, label = by_id.get(entry.get('image_id')), categories.get(entry.get('category_id'))
            box = entry.get('bbox')
            if item is None or label is None or not isinstance(box, list) or len(box) != 4:
                raise UserError(
                    f'{file}: annotation {entry.get("id")} has no bbox, or an unknown image_id or category_id; '
                    'lcnet check lists all such cases'
                )
            x, y, width, height = map(float, box)
            outlines = entry.get('segmentation')
            polygons = (
                tuple(np.reshape(part, (-1, 2)).astype(float) for part in outlines)
                if isinstance(outlines, list)
                else ()
            )
            crowd = bool(entry.get('iscrowd'))
            item.shapes.append(Shape(label, (x, y, x + width, y + height), polygons, crowd))
    return Source('coco', DETECTION, classes_of(items, classes or names, root), items, remarks)


def find_cvat(root: Path) -> list[Path]:
    """Return the XML files of CVAT directly in a folder."""
    return [file for file in sorted(root.glob('*.xml')) if file.is_file() and _parse_xml(file).tag == 'annotations']


def find_label_studio(root: Path) -> list[Path]:
    """Return the JSON files of Label Studio directly in a folder."""
    return [file for file in sorted(root.glob('*.json')) if is_label_studio(load_json(file))]


def find_coco(root: Path) -> list[Path]:
    """Return the COCO files in a folder, or in its folder ``annotations``, or in those of its splits."""
    files = [
        file
        for pattern in ('*.json', 'annotations/*.json', '*/_annotations*.json')
        for file in sorted(root.glob(pattern))
    ]
    return [file for file in files if is_coco(load_json(file))]


def is_labelme(content: Any) -> bool:
    """Whether this is the content of a Labelme file."""
    return isinstance(content, dict) and isinstance(content.get('shapes'), list) and 'imagePath' in content


def is_label_studio(content: Any) -> bool:
    """Whether this is the content of an export of Label Studio."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and ('annotations' in first or 'annotator' in first or 'annotation_id' in first)


def is_coco(content: Any) -> bool:
    """Whether this is the content of a COCO file."""
    return (
        isinstance(content, dict)
        and isinstance(content.get('images'), list)
        and isinstance(content.get('categories'), list)
    )


def load_json(file: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: it is not one.
    """
    try:
        return json.loads(file.read_text('utf-8-sig'))
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f'{file} is not a JSON file: {error}') from error


def _coco_folder(file: Path) -> Path:
    return (
        file.parent.parent if file.parent.name == 'annotations' or file.name.startswith('_annotations') else file.parent
    )


def _only(files: list[Path], root: Path) -> Path:
    if len(files) != 1:
        raise UserError(f'{root} has {len(files)} exports ({", ".join(file.name for file in files)}); name one file')
    return files[0]


def _parse_xml(file: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise UserError(f'{file} is not an XML file: {error}') from error


def _add_unlabeled(items: list[Item], index: ImageIndex, root: Path) -> None:
    used = {item.path for item in items}
    items += [Item(_name(path, root), path, labeled=False) for path in index.images if path not in used]


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _size(width: Any, height: Any) -> Size | None:
    """Return a size, or None where a tool has written none, such as 0x0."""
    try:
        size = int(float(width)), int(float(height))
    except (TypeError, ValueError):
        return None
    return size if min(size) > 0 else None


def _cvat_size(node: ElementTree.Element | None) -> Size | None:
    if node is None:
        return None
    return _size(node.get('width') or node.findtext('width'), node.get('height') or node.findtext('height'))


def _labelme_shape(shape: dict[str, Any]) -> Shape | None:
    label, kind = str(shape['label']), shape.get('shape_type') or 'polygon'
    points = np.array(shape['points'], dtype=float).reshape(-1, 2)
    if kind == 'rectangle':
        (left, top), (right, bottom) = points.min(0), points.max(0)
        return Shape(label, (float(left), float(top), float(right), float(bottom)))
    if kind == 'circle':
        return Shape.from_polygons(
            label, [ellipse_outline(points[0], *[float(np.linalg.norm(points[1] - points[0]))] * 2)]
        )
    if kind == 'mask':
        with Image.open(io.BytesIO(base64.b64decode(shape['mask']))) as image:
            return Shape.from_mask(label, np.array(image), (float(points[0, 0]), float(points[0, 1])))
    return Shape.from_polygons(label, [points]) if kind == 'polygon' and len(points) >= 3 else None


def _cvat_shape(label: str, node: ElementTree.Element) -> Shape | None:
    if node.tag == 'box':
        left, top, right, bottom = (float(node.attrib[key]) for key in ('xtl', 'ytl', 'xbr', 'ybr'))
        angle = float(node.get('rotation') or 0)
        if not angle:
            return Shape(label, (left, top, right, bottom))
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        return Shape.from_polygons(label, [rotate_points(corners, corners.mean(0), angle)])
    if node.tag == 'polygon':
        points = [[float(value) for value in pair.split(',')] for pair in node.attrib['points'].split(';')]
        return Shape.from_polygons(label, [points])
    if node.tag == 'ellipse':
        cx, cy, rx, ry = (float(node.attrib[key]) for key in ('cx', 'cy', 'rx', 'ry'))
        outline = ellipse_outline(np.array([cx, cy]), rx, ry)
        return Shape.from_polygons(
            label, [rotate_points(outline, np.array([cx, cy]), float(node.get('rotation') or 0))]
        )
    if node.tag == 'mask':
        left, top, width, height = (int(float(node.attrib[key])) for key in ('left', 'top', 'width', 'height'))
        counts = [int(count) for count in node.attrib['rle'].split(',')]
        mask = np.repeat(np.arange(len(counts)) % 2, counts).reshape(height, width)
        return Shape.from_mask(label, mask, (left, top))
    return None


def _label_studio_image(task: dict[str, Any]) -> str | None:
    data = task.get('data') if isinstance(task.get('data'), dict) else task
    assert isinstance(data, dict)
    texts = [data.get('image'), data.get('img'), *data.values()]
    return next((text for text in texts if isinstance(text, str) and Path(plain_path(text)).suffix), None)


def _label_studio_results(task: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Return the results of the newest annotation that was not canceled, and whether there is one."""
    if 'annotations' in task:
        done = [entry for entry in task['annotations'] if not entry.get('was_cancelled')]
        return (done[-1]['result'], True) if done else ([], False)
    results: list[dict[str, Any]] = []
    for value in task.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            results += value
    choice = next((task[key] for key in ('choice', 'class', 'label') if isinstance(task.get(key), str)), None)
    return ([{'choices': [choice]}] if choice else results), True


def _label_studio_shape(label: str, value: dict[str, Any], size: Size) -> Shape:
    """Make an object of percentages of the image; rotation is in degrees around the upper left corner."""
    scale = np.array(size) / 100
    if 'points' in value:
        return Shape.from_polygons(label, [np.array(value['points'], dtype=float) * scale])
    origin = np.array([value['x'], value['y']], dtype=float) * scale
    angle = float(value.get('rotation') or 0)
    if 'radiusX' in value:
        outline = ellipse_outline(origin, *(np.array([value['radiusX'], value['radiusY']]) * scale))
        return Shape.from_polygons(label, [rotate_points(outline, origin, angle)])
    width, height = np.array([value['width'], value['height']], dtype=float) * scale
    corners = origin + np.array([[0, 0], [width, 0], [width, height], [0, height]])
    shape = Shape.from_polygons(label, [rotate_points(corners, origin, angle)])
    return shape if angle else Shape(label, shape.box)
