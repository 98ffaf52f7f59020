"""Finding out what a file or a folder of data is, and checking it as that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .cityscapes import prepare_cityscapes
from .coco import check_coco
from .coco_file import AnnotationError
from .files import FileChecks
from .folders import EXTENSIONS, check_class_folders, check_list, inspect_images, list_class_folders
from .label_maps import check_label_maps
from .report import Findings, Report
from .voc import check_voc

# Pairs of folders in which segmentation data usually comes.
_LABEL_LAYOUTS = (('images', 'labels'), ('images', 'masks'), ('images', 'annotations'), ('img_dir', 'ann_dir'))
_SPLITS = ('train', 'val', 'test')


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
    if source.is_dir():
        return _check_folder(source, classes, masks=masks, decode=decode)
    if not source.is_file():
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
    files = sorted((root / 'annotations').glob('*.json'))
    if files:
        return _check_coco_folder(root, files, classes, masks=masks, decode=decode)
    splits = [name for name in _SPLITS if (root / name).is_dir()]
    if splits and set(list_class_folders(root)) <= {*_SPLITS, 'meta'}:
        report = Report()
        for name in splits:
            _merge(report, _check_images(root / name, classes, decode))
        return report
    return _check_images(root, classes, decode)


def _check_images(folder: Path, classes: Sequence[str] | None, decode: bool) -> Report:
    """Check a folder of class folders, or else of images."""
    if list_class_folders(folder):
        return check_class_folders(folder, classes, decode=decode)
    report, findings = Report(), Findings(str(folder))
    report.add(findings, inspect_images(folder, findings, FileChecks(decode=decode), EXTENSIONS).summary)
    return report


def _check_coco_folder(
    root: Path, files: Sequence[Path], classes: Sequence[str] | None, *, masks: bool, decode: bool
) -> Report:
    """Check all annotation files of a folder, each with the folder of images that its name says."""
    report = Report()
    for file in files:
        names = (file.stem.removeprefix('instances_'), file.stem, 'images')
        images = next((root / name for name in names if (root / name).is_dir()), None)
        _merge(report, check_coco(file, images, classes, masks=masks, decode=decode))
    return report


def _merge(report: Report, other: Report) -> None:
    report.add(other.findings, *other.summaries)
