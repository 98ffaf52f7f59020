"""A small segmentation data set in Cityscapes' layout, drawn in seconds and without a download."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ..data.cityscapes import IMAGE_SUFFIX, LABEL_SUFFIX
from ..utils.images import write_image
from .generated import SPLITS, check_parameters, make_folder, progress_bar
from .street_canvas import IDS, DrawnImage
from .street_images import compose_street

_NAME = 'lcnet_mm street scenes'
# To be raised whenever the same parameters give other images, so that a data set of an earlier version is not reused.
_VERSION = 1
# Cityscapes has a folder for each city, and no city is in two splits.
_CITIES = dict(train='drawnstadt', val='malheim')


def make_streets_dataset(
    out_dir: str | os.PathLike[str],
    num_train: int = 300,
    num_val: int = 60,
    image_size: tuple[int, int] = (512, 256),
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Make street scenes in the layout of Cityscapes, or keep equal ones.

    ``leftImg8bit/{train,val}/CITY/*_leftImg8bit.png`` and ``gtFine/{train,val}/CITY/*_gtFine_labelIds.png``; the maps
    of train ids are made by :func:`~lcnet_mm.data.cityscapes.prepare_cityscapes`, as for the real data. Image `i`
    of a split depends on ``seed``, the split, `i` and ``image_size`` alone, so no scene is in both splits.

    Args:
        out_dir: Folder to make.
        num_train: Number of training images, at least 1.
        num_val: Number of validation images, at least 1.
        image_size: Width and height in px, each 64 to 2048.
        seed: Seed, at least 0.
        progress: Whether to show a progress bar.

    Returns:
        ``out_dir`` (str), ``created`` (False if an equal data set was kept), ``parameters``, and per split ``images``
        and ``images_with``, the number of images that contain each label.

    Raises:
        TypeError, ValueError: an argument is wrong.
        FileExistsError: ``out_dir`` holds anything else; nothing in it is touched.
    """
    parameters = check_parameters(num_train, num_val, image_size, seed)

    def is_complete(folder: Path) -> bool:
        return all(
            len(list((folder / kind / split).glob(f'*/*{suffix}'))) == parameters[f'num_{split}']
            for split in SPLITS
            for kind, suffix in (('leftImg8bit', IMAGE_SUFFIX), ('gtFine', LABEL_SUFFIX))
        )

    def fill(folder: Path) -> dict[str, Any]:
        summary: dict[str, Any] = {}
        for number, split in enumerate(SPLITS):
            count = parameters[f'num_{split}']

            def compose(index: int, number: int = number) -> DrawnImage:
                return compose_street(image_size, np.random.default_rng([seed, number, index]))

            # OpenCV and NumPy leave Python's lock while they work.
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                images = progress_bar(pool.map(compose, range(count)), count, split, progress)
                summary[split] = _write_split(folder, split, images)
        return summary

    return make_folder(out_dir, _NAME, _VERSION, parameters, fill, is_complete)


def _write_split(root: Path, split: str, images: Iterable[DrawnImage]) -> dict[str, Any]:
    """Write the images and label maps of a split and return its summary."""
    city = _CITIES[split]
    folders = [root / kind / split / city for kind in ('leftImg8bit', 'gtFine')]
    for folder in folders:
        folder.mkdir(parents=True)
    counts = dict.fromkeys(IDS, 0)
    index = 0
    for index, image in enumerate(images, 1):
        stem = f'{city}_{index:06d}_000019'
        write_image(folders[0] / f'{stem}{IMAGE_SUFFIX}', image.image)
        write_image(folders[1] / f'{stem}{LABEL_SUFFIX}', image.label_ids)
        present = set(np.unique(image.label_ids).tolist())
        for name, label in IDS.items():
            counts[name] += label in present
    return {'images': index, 'images_with': {name: count for name, count in counts.items() if count}}
