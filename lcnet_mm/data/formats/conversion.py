"""Converting a data set of a labeling tool to what the configs of this project read."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...utils.errors import UserError, as_user_error
from ...utils.files import sha256
from . import folders, tools, writing, yolo
from .finding import visible_files, visible_images
from .pixels import ImageHeader, fit_labels, read_header
from .samples import CLASSIFICATION, DETECTION, SEGMENTATION, SPLITS, Item, Source
from .splitting import draw_splits, group_items, list_splits, separate_duplicates

FORMATS = ('yolo', 'voc', 'labelme', 'cvat', 'label-studio', 'coco', 'masks', 'folders')
TASKS = (DETECTION, SEGMENTATION, CLASSIFICATION)


@dataclass(frozen=True)
class Conversion:
    """What a conversion read and wrote.

    Attributes:
        format: Format of the source.
        task: 'detect', 'segment' or 'classify'.
        classes: Names in the order of their labels.
        splits: For each split the number of images, of images without a label, and of objects by class.
        remarks: What was left out, changed or chosen, a line each.
        out_dir: The folder that was written.
    """

    format: str
    task: str
    classes: list[str]
    splits: dict[str, dict[str, Any]]
    remarks: list[str]
    out_dir: str

    def to_dict(self) -> dict[str, Any]:
        """Return the conversion as JSON types."""
        return dict(vars(self))

    def format_table(self) -> str:
        """Return the conversion as text."""
        lines = [f'{self.format} -> {self.out_dir} ({self.task}, {len(self.classes)} classes)']
        for split, counts in self.splits.items():
            lines.append(f'  {split:<5}  {counts["images"]:>6} images, {counts["empty"]} of them without a label')
        width = max(map(len, self.classes), default=0)
        lines.append(f'  {"class":<{width}}' + ''.join(f'  {split:>7}' for split in self.splits))
        for name in self.classes:
            numbers = ''.join(f'  {counts["per_class"].get(name, 0):>7}' for counts in self.splits.values())
            lines.append(f'  {name:<{width}}{numbers}')
        lines += [f'note: {remark}' for remark in self.remarks]
        return '\n'.join(lines)


def convert_dataset(
    source: str | Path,
    out_dir: str | Path,
    *,
    format: str | None = None,
    task: str | None = None,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
    val: float | None = None,
    test: float | None = None,
    val_list: str | Path | None = None,
    test_list: str | Path | None = None,
    group_by: str | None = None,
    seed: int = 0,
    link: bool = False,
    drop_unlabeled: bool | None = None,
) -> Conversion:
    """Convert a data set of a labeling tool to what the configs read, split for training and evaluation.

    Detection becomes ``annotations/{train,val,test}.json`` in COCO's format with a folder of images each; segmentation
    ``images/`` and ``labels/`` with a folder for each split; classification a folder for each split and class. Images
    of the same content never lie in two splits.

    Args:
        source: Folder or file: YOLO, Pascal VOC, Labelme, CVAT, Label Studio, COCO, PNG masks, class folders.
        out_dir: The folder to write; it must not exist or be empty. It appears only when it is complete.
        format: One of :data:`FORMATS`; found out by default.
        task: One of :data:`TASKS`; by default what the labels are. Outlines can become label maps with 'segment'.
        images: Folder of the images where they are not below the source.
        classes: Names of the classes in their order; by default those of the source.
        val: Share of the validation images, 0.2 by default. Given, it replaces the splits of the source.
        test: Share of the test images, 0 by default.
        val_list: File with the names of the validation images, one a line; what is in no list is for training.
        test_list: File with the names of the test images.
        group_by: Regular expression; images whose names agree in its first group stay in one split.
        seed: Decides the splits.
        link: Whether to link the images instead of copying them.
        drop_unlabeled: Whether to leave out images without a label file, and not to keep them as background. By default
            they are background in YOLO, where that is the rule, and left out otherwise, as not yet labeled.

    Returns:
        Counts, and remarks on what was left out, changed or chosen.

    Raises:
        UserError: the source cannot be read, a choice does not fit it, or the folder cannot be written.
    """
    root, target = Path(source), Path(out_dir)
    lists = {split: Path(file) for split, file in (('val', val_list), ('test', test_list)) if file is not None}
    _check_choices(root, target, val, test, lists, group_by)
    read = _read(root, format, classes, Path(images) if images else None)
    if not read.classes:
        raise UserError(f'{root} has no label, or none of its images was found; name their folder with images')
    _choose_task(read, task)
    items = _select(read, drop_unlabeled)
    headers = _read_headers(items)
    usable: list[tuple[Item, ImageHeader]] = []
    for item, header in zip(items, headers, strict=True):
        if header is None:
            read.remarks.add('image that cannot be read, left out', item.name)
        else:
            usable.append((fit_labels(item, header, read.remarks), header))
    if not usable:
        raise UserError(f'{root} has no image that can be read')
    items = [item for item, _ in usable]
    hashes = _map(_content_hash, items)
    splits = _split(read, items, hashes, val, test, lists, group_by, seed)
    if len(items) == 1 and not lists:
        read.remarks.add('there is one image: it is for training and for validation, so the evaluation says nothing')
        items, splits = items * 2, ['train', 'val']
        kept = [True, True]
    else:
        kept = separate_duplicates(items, splits, hashes, read.remarks)
    chosen = [(item, split) for item, split, keep in zip(items, splits, kept, strict=True) if keep]
    _check_splits(read, chosen, root)
    root_of_masks = root if root.is_dir() else root.parent
    partial = target.with_name(f'.{target.name}.{os.getpid()}.partial')
    try:
        with as_user_error(f'{target} cannot be written', OSError):
            partial.mkdir(parents=True)
            counts = writing.write(read, chosen, partial, root_of_masks, link)
            conversion = Conversion(
                read.format, read.task, read.classes, _order(counts), read.remarks.lines(), str(out_dir)
            )
            writing.write_summary(partial, conversion.to_dict())
            if target.exists():
                target.rmdir()
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return conversion


def detect_format(root: Path, images: Path | None = None) -> str:
    """Return the format of a data set.

    Args:
        root: The data set.
        images: Folder of its images where they are not below it.

    Raises:
        UserError: it is none, or several at once.
    """
    if root.is_file():
        content = tools.load_json(root) if root.suffix == '.json' else None
        for name, matches in (('coco', tools.is_coco), ('label-studio', tools.is_label_studio)):
            if matches(content):
                return name
        if root.suffix == '.xml':
            return 'cvat'
        if root.suffix in ('.yaml', '.yml'):
            return 'yolo'
        raise UserError(f'{root} is neither a COCO, CVAT or Label Studio file nor a YOLO yaml')
    contents = [tools.load_json(file) for file in visible_files(root, '.json')[:50]]
    found = [name for name, test in _SIGNS.items() if test(root, images or root, contents)]
    if len(found) > 1:
        raise UserError(f'{root} has labels in several formats ({", ".join(found)}); name one with format')
    if found:
        return found[0]
    if folders.find_mask_folders(root, images):
        return 'masks'
    if any(visible_images(folder) for folder in folders.visible_folders(root)):
        return 'folders'
    raise UserError(f'{root} has no labels that are known here ({", ".join(FORMATS)})')


def _has_voc(root: Path, _: Path, __: list[Any]) -> bool:
    cvat = set(tools.find_cvat(root))
    return any(
        file not in cvat and b'<annotation>' in file.read_bytes()[:2000] for file in visible_files(root, '.xml')[:50]
    )


def _has_yolo(root: Path, folder: Path, _: list[Any]) -> bool:
    images = {path.stem for path in visible_images(folder)}
    texts = [path for path in visible_files(root, '.txt') if path.stem in images]
    return bool(texts) or (yolo.find_yaml(root) is not None)


# In a folder; the masks and the class folders are what is left, since their images may lie beside other labels.
_SIGNS: dict[str, Callable[[Path, Path, list[Any]], bool]] = {
    'yolo': _has_yolo,
    'voc': _has_voc,
    'labelme': lambda _, __, contents: any(map(tools.is_labelme, contents)),
    'cvat': lambda root, *_: bool(tools.find_cvat(root)),
    'label-studio': lambda root, *_: bool(tools.find_label_studio(root)),
    'coco': lambda root, *_: bool(tools.find_coco(root)),
}


def _read(root: Path, format: str | None, classes: Sequence[str] | None, images: Path | None) -> Source:
    format = format or detect_format(root, images)
    if format in ('masks', 'folders', 'voc', 'labelme') and not root.is_dir():
        raise UserError(f'{format} is a folder, {root} is a file')
    if format == 'folders':
        return folders.read_class_folders(root, classes)
    readers: dict[str, Callable[[Path, Sequence[str] | None, Path | None], Source]] = {
        'yolo': yolo.read_yolo,
        'voc': tools.read_voc,
        'labelme': tools.read_labelme,
        'cvat': tools.read_cvat,
        'label-studio': tools.read_label_studio,
        'coco': tools.read_coco,
        'masks': folders.read_masks,
    }
    if format not in readers:
        raise UserError(f'format {format} is unknown; there are {", ".join(FORMATS)}')
    return readers[format](root, classes, images)


def _check_choices(
    root: Path,
    target: Path,
    val: float | None,
    test: float | None,
    lists: dict[str, Path],
    group_by: str | None,
) -> None:
    if not root.exists():
        raise UserError(f'{root} does not exist')
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f'{target} exists and is not an empty folder; name a new one')
    if target.resolve().is_relative_to(root.resolve()) and root.is_dir():
        raise UserError(f'{target} is inside of {root}, where its images would be read again; name another folder')
    if val is not None and not 0 < val < 1:
        raise UserError(f'val must be between 0 and 1, got {val}')
    if test is not None and not 0 <= test < 1:
        raise UserError(f'test must be from 0 to less than 1, got {test}')
    if (0.2 if val is None else val) + (test or 0) >= 1:
        raise UserError('val and test leave no image for training; their sum must be less than 1')
    if lists and group_by is not None:
        raise UserError('group_by has no effect on splits that are given by lists; leave one of them out')
    if lists and (val is not None or test is not None):
        raise UserError('the splits are given by lists and by shares; give one of them')


def _choose_task(read: Source, task: str | None) -> None:
    if task is None or task == read.task:
        return
    if task == SEGMENTATION and read.task == DETECTION:
        boxes = sum(not shape.polygons for item in read.items for shape in item.shapes)
        if boxes == sum(len(item.shapes) for item in read.items):
            raise UserError(f'the {read.format} labels are boxes; segmentation needs outlines or masks')
        if boxes:
            read.remarks.add(f'{boxes} objects are boxes without an outline, and were filled as rectangles')
        if read.classes[0] != 'background':
            read.classes.insert(0, 'background')
        read.task = task
        return
    raise UserError(f'the {read.format} labels are for {read.task}, not for {task}')


def _select(read: Source, drop_unlabeled: bool | None) -> list[Item]:
    drop = read.format != 'yolo' if drop_unlabeled is None else drop_unlabeled
    if read.task == SEGMENTATION and any(item.mask for item in read.items):
        drop = True
    items = []
    for item in read.items:
        if read.task == CLASSIFICATION and item.label is None:
            read.remarks.add('image without a class, left out', item.name)
        elif not item.labeled and drop:
            read.remarks.add('image without labels, left out as not yet labeled', item.name)
        else:
            if not item.labeled:
                read.remarks.add('image without a label file, kept as background', item.name)
            items.append(item)
    if not items:
        raise UserError('no image has a label')
    return items


def _split(
    read: Source,
    items: list[Item],
    hashes: list[str],
    val: float | None,
    test: float | None,
    lists: dict[str, Path],
    group_by: str | None,
    seed: int,
) -> list[str]:
    if lists:
        return list_splits(items, lists)
    given = [item.split for item in items]
    if val is None and test is None and all(given) and {'train', 'val'} <= set(given):
        read.remarks.add('the splits are those of the source')
        if group_by is not None:
            read.remarks.add('group_by has no effect on the splits of the source; give val to split anew')
        return [split for split in given if split]
    ratios = dict(val=0.2 if val is None else val, test=test or 0.0)
    if val is None and any(given):
        ratios = dict(ratios, test=0.0 if 'test' in given else ratios['test'])
        read.remarks.add('the source has no complete splits; the images were split anew')
    ratios = dict(train=1 - sum(ratios.values()), **ratios)
    groups = group_items(items, hashes, group_by)
    labels = [[shape.label for shape in item.shapes] or ([item.label] if item.label else []) for item in items]
    splits = draw_splits(labels, groups, ratios, seed)
    # Few images or large groups: a split that was asked for and got nothing takes the smallest group.
    for wanted in [name for name, ratio in ratios.items() if ratio > 0 and name not in splits]:
        sizes = Counter(groups)
        donors = Counter(splits)
        movable = [g for g in sizes if donors[splits[groups.index(g)]] > sizes[g]]
        if movable:
            smallest = min(movable, key=lambda group: (sizes[group], group))
            splits = [wanted if group == smallest else split for group, split in zip(groups, splits, strict=True)]
    return splits


def _check_splits(read: Source, chosen: list[tuple[Item, str]], root: Path) -> None:
    present = {split for _, split in chosen}
    for split in ('train', 'val'):
        if split not in present:
            raise UserError(f'{root}: no image is left for {split}; all are duplicates of each other, or in one group')
    if read.task != SEGMENTATION:
        for split in sorted(present, key=SPLITS.index):
            seen = {s.label for item, where in chosen if where == split for s in item.shapes}
            seen |= {item.label for item, where in chosen if where == split and item.label}
            if not seen:
                raise UserError(f'{root}: {split} has no labeled object; label more images, or split in another way')
            if missing := [name for name in read.classes if name not in seen]:
                read.remarks.add(f'class without an image in {split}', ', '.join(missing[:5]))


def _order(counts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {split: counts[split] for split in SPLITS if split in counts}


def _content(item: Item) -> Path | bytes:
    return item.content if item.path is None and item.content is not None else Path(item.path or '')


def _read_headers(items: list[Item]) -> list[ImageHeader | None]:
    return _map(lambda item: read_header(_content(item)), items)


def _content_hash(item: Item) -> str:
    content = _content(item)
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else sha256(content)


def _map(function: Callable[[Item], Any], items: list[Item]) -> list[Any]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))
