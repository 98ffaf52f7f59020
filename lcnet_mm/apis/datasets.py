"""Checking and preparing data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..data import cityscapes, coco
from ..utils.errors import UserError


def check_dataset(
    annotations: str | Path, images: str | Path | None = None, classes: Sequence[str] | None = None
) -> coco.CocoReport:
    """Find what would make a training or an evaluation on a COCO annotation file go wrong.

    Args:
        annotations: The COCO JSON file.
        images: Folder of the images, to check that all exist and have the size that the file says.
        classes: The class names of a config, to compare them with the file's.

    Returns:
        Counts and findings; ``ok`` says whether there are no errors.

    Raises:
        UserError: the file or the folder does not exist, or the file is not a COCO file.
    """
    if images is not None and not Path(images).is_dir():
        raise UserError(f'folder {images} does not exist')
    try:
        return coco.check_coco(annotations, images, classes)
    except coco.AnnotationError as error:
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
