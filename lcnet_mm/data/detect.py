"""Finding out what a file or a folder of data is, and checking it as that."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path

from .cityscapes import prepare_cityscapes
from .coco import CocoOptions, check_coco, inspect_coco
from .coco_file import AnnotationError
from .files import FileChecks
from .folders import check_list, inspect_class_folders, inspect_images, list_class_folders
from .label_maps import check_label_maps
from .report import DataFacts, Findings, Report
from .splits import SPLIT_NAMES, check_same_classes, check_shared
from .voc import check_voc

# Pairs of folders in which segmentation data usually comes.
_LABEL_LAYOUTS = (('images', 'labels'), ('images', 'masks'), ('images', 'annotations'), ('img_dir', 'ann_dir'))


def check_source(
    source: Path,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
    labels: str | Path | None = None,
    *,
    masks: bool = False,
    decode: bool = False,
) -> Report:
    """Check a file or a folder.

    Args:
        source: A COCO JSON file, a list of images, or a folder.
        images: Folder of the images of a file.
        classes: Class names of a config.
        labels: Folder of the label maps of ``source``, which is then a folder of images.
        masks: Whether masks of COCO will be used.
        decode: Whether to decode all images.

    Raises:
        AnnotationError: the source does not exist or is of no known format.
    """
    if labels is not None:
        return check_label_maps(source, labels, classes, decode=decode)
    if os.path.isdir(source):
        return _check_folder(source, classes, masks=masks, decode=decode)
    if not os.path.isfile(source):
        raise AnnotationError(f'{source} does not exist')
    if source.suffix.lower() == '.json':
        return check_coco(source, images, classes, masks=masks, decode=decode)
    if source.suffix.lower() in ('.txt', '.lst', '.list', '.csv'):
        return check_list(source, images, classes, decode=decode)
    raise AnnotationError(
        f'{source} is of no known kind; expected a config (.py), COCO annotations (.json), a list (.txt) or a folder'
    )


def _check_folder(root: Path, classes: Sequence[str] | None, *, masks: bool, decode: bool) -> Report:
    if (root / 'leftImg8bit').is_dir():
        return prepare_cityscapes(root, convert=False, progress=False)
    if (root / 'Annotations').is_dir() and (root / 'JPEGImages').is_dir():
        return check_voc(root, classes, decode=decode)
    for images, labels in _LABEL_LAYOUTS:
        if (root / images).is_dir() and (root / labels).is_dir() and not list((root / labels).glob('*.json')):
            return check_label_maps(root / images, root / labels, classes, decode=decode)
    files = [*(root / 'annotations').glob('*.json'), *root.glob('*.json'), *root.glob('*/*.coco.json')]
    files = sorted(path for path in files if _looks_like_coco(path))
    if files:
        return _check_coco_files(root, files, CocoOptions(classes=classes, masks=masks), FileChecks(decode=decode))
    splits = [name for name in SPLIT_NAMES if (root / name).is_dir()]
    folders = [root / name for name in splits] if set(list_class_folders(root)) <= {*SPLIT_NAMES, 'meta'} else []
    return _check_image_folders(folders or [root], classes, FileChecks(decode=decode))


def _check_image_folders(folders: Sequence[Path], classes: Sequence[str] | None, checks: FileChecks) -> Report:
    """Check folders, each with a folder per class or else with images."""
    report = Report()
    known: list[tuple[str, DataFacts]] = []
    for folder in folders:
        findings = Findings(str(folder))
        if list_class_folders(folder):
            facts = inspect_class_folders(folder, findings, checks, classes)
        else:
            facts = inspect_images(folder, findings, checks)
        report.add(findings, facts.summary)
        known.append((folder.name, facts))
    _compare(known, report)
    return report


def _check_coco_files(root: Path, files: Sequence[Path], options: CocoOptions, checks: FileChecks) -> Report:
    """Check all annotation files of a folder, each with the folder of images that its name says."""
    report = Report()
    known: list[tuple[str, DataFacts]] = []
    for file in files:
        name = file.stem.removeprefix('instances_')
        folders = [root / name, root / name.removesuffix('.coco'), root / 'images' / name, root / 'images']
        images = file.parent if file.name.endswith('.coco.json') else next(filter(Path.is_dir, folders), None)
        findings = Findings(str(file))
        try:
            facts = inspect_coco(file, findings, options, images, checks)
        except AnnotationError as error:
            findings.add('config-data', text=str(error))
            report.add(findings)
            continue
        report.add(findings, facts.summary)
        split = next((split for split in SPLIT_NAMES if split in file.name or split == file.parent.name), str(file))
        known.append((split, facts))
    _compare(known, report)
    return report


def _looks_like_coco(file: Path) -> bool:
    """Whether a JSON file has the keys of annotations, without parsing it; results and settings have not."""
    try:
        with file.open('rb') as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(b'"images"') >= 0 and data.find(b'"annotations"') >= 0
    except (OSError, ValueError):  # Empty, or a folder.
        return False


def _compare(known: Sequence[tuple[str, DataFacts]], report: Report) -> None:
    findings = Findings('all')
    check_same_classes(known, findings)
    check_shared(known, findings)
    report.add(findings)
