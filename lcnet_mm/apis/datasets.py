"""Checking, repairing and preparing data sets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from ..data import cityscapes, coco_fix, detect
from ..data.checks import inspect_config
from ..data.coco_file import AnnotationError
from ..data.report import Report
from ..utils.errors import UserError


def check_dataset(
    source: str | Path,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
    *,
    labels: str | Path | None = None,
    masks: bool = False,
    decode: bool = False,
) -> Report:
    """Find what would make a training or an evaluation on some data go wrong.

    Args:
        source: A COCO JSON file, a list of images, or a folder: with a data set in COCO's, VOC's or Cityscapes' layout,
            with a folder of images per class, or with images.
        images: Folder of the images of a file, to check that all exist and have the size that the file says.
        classes: The class names of a config, to compare them with those of the data.
        labels: Folder of the label maps of ``source``, which is then a folder of images.
        masks: Whether masks will be used, so that a faulty segmentation of COCO is an error.
        decode: Whether to decode all images and not only to read their headers.

    Returns:
        What would be used, and findings; ``ok`` says whether there are no errors.

    Raises:
        UserError: the file or a folder does not exist, or is of none of these formats.
    """
    for folder in (images, labels):
        if folder is not None and not os.path.isdir(folder):
            raise UserError(f'folder {folder} does not exist')
    try:
        return detect.check_source(Path(source), images, classes, labels, masks=masks, decode=decode)
    except (AnnotationError, cityscapes.CityscapesError) as error:
        raise UserError(str(error)) from error


def check_config(cfg: Config, *, decode: bool = False) -> Report:
    """Check all data of a config: each data set, and all against each other, the model and the evaluators.

    Unlike :func:`check_data`, which training and evaluation call, it looks at every image and label map.

    Args:
        cfg: The config, as :func:`~lcnet_mm.utils.config.load_config` returns it.
        decode: Whether to decode all images and not only to read their headers.

    Returns:
        What would be used, and findings; ``ok`` says whether there are no errors.

    Raises:
        UserError: the config has no data.
    """
    report = inspect_config(cfg, cheap=False, decode=decode)
    if not report.summaries and not report.findings:
        raise UserError('the config has no data: train_dataloader, val_dataloader or test_dataloader')
    return report


def fix_annotations(annotations: str | Path, out: str | Path, images: str | Path | None = None) -> dict[str, int]:
    """Write a copy of a COCO file in which everything is repaired that can only mean one thing.

    Args:
        annotations: The COCO JSON file, which stays as it is.
        out: The new file, which must not exist.
        images: Folder of the images, to repair exchanged widths and heights.

    Returns:
        What was changed, and how often; see :func:`lcnet_mm.data.fix_coco`.

    Raises:
        UserError: the file is not a COCO file, or ``out`` exists or cannot be written.
    """
    if images is not None and not os.path.isdir(images):
        raise UserError(f'folder {images} does not exist')
    try:
        return coco_fix.fix_coco(annotations, out, images)
    except AnnotationError as error:
        raise UserError(str(error)) from error


def prepare_cityscapes(
    root: str | Path, *, convert: bool = True, workers: int | None = None
) -> cityscapes.CityscapesReport:
    """Check a Cityscapes folder, and write the maps of train ids that training needs.

    A run that was interrupted goes on where it stopped.

    Args:
        root: The folder with ``leftImg8bit`` and ``gtFine``.
        convert: Whether to write the maps; otherwise the folder is only checked.
        workers: Number of files at a time; all cores by default.

    Returns:
        Counts and findings; ``ok`` says whether there are no errors.

    Raises:
        UserError: the folder is not a Cityscapes folder, or a map cannot be written.
    """
    try:
        return cityscapes.prepare_cityscapes(root, convert=convert, workers=workers)
    except (cityscapes.CityscapesError, OSError) as error:
        raise UserError(str(error)) from error
