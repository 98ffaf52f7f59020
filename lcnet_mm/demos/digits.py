"""A small detection data set of real handwriting, made in seconds and without a download.

scikit-learn ships 1,797 scans of handwritten digits (8x8 pixels, UCI "Optical Recognition of Handwritten Digits"). They
are enlarged smoothly, rotated and sheared a little, inked in different colors and pasted on noisy backgrounds. The
result has COCO's folders and file names, so a COCO config needs only another ``data_root`` and the ten class names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..utils.files import write_json
from ..utils.images import write_image
from .digit_images import NOMINAL_SIDE, DrawnImage, compose_image
from .generated import SPLITS, check_parameters, make_folder, progress_bar

DIGIT_CLASSES = tuple('0123456789')
# To be raised whenever the same parameters give other images, so that a data set of an earlier version is not reused.
_VERSION = 1
_NAME = 'lcnet_mm handwritten digits'
_JPEG_QUALITY = 95


def load_scans() -> tuple[np.ndarray, np.ndarray]:
    """Read the scans bundled with scikit-learn.

    Returns:
        float32 array of shape (1797, 8, 8) with ink 0 to 1, and int64 array of shape (1797,) with the digits.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError('the digits come from scikit-learn: pip install scikit-learn') from error
    digits = load_digits()
    return (digits.images / 16).astype(np.float32), digits.target.astype(np.int64)


def split_scans(labels: np.ndarray | None = None, seed: int = 0, val_share: float = 0.2) -> dict[str, np.ndarray]:
    """Split the scans per class, so that no scan of the validation images appears in a training one.

    Args:
        labels: int array of shape (N,), the digit of each scan; the bundled scans by default.
        seed: Seed of the split.
        val_share: Share of each class that goes to validation, strictly between 0 and 1.

    Returns:
        Sorted scan indices under the keys 'train' and 'val'.
    """
    if labels is None:
        labels = load_scans()[1]
    rng = np.random.default_rng([seed, len(SPLITS)])  # the images use [seed, 0, index] and [seed, 1, index]
    parts: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(labels == digit))
        count = round(len(members) * val_share)
        parts['val'].append(members[:count])
        parts['train'].append(members[count:])
    return {split: np.sort(np.concatenate(parts[split])) for split in SPLITS}


def make_digits_dataset(
    out_dir: str | os.PathLike[str],
    num_train: int = 1000,
    num_val: int = 100,
    image_size: tuple[int, int] = (NOMINAL_SIDE, NOMINAL_SIDE),
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Make the digits data set in COCO's layout, or keep an equal one.

    Image `i` of a split depends on ``seed``, the split, `i` and ``image_size`` alone; with the same library versions
    the files are the same byte for byte. The folder appears complete or not at all: it is built under another name and
    then renamed.

    Args:
        out_dir: Folder to make. ``annotations/``, ``train2017/``, ``val2017/`` and ``dataset_info.json`` appear in it.
        num_train: Number of training images, at least 1.
        num_val: Number of validation images, at least 1.
        image_size: Nominal (width, height) in px, each 64 to 2048; the sides of each image vary by a quarter.
        seed: Seed, at least 0.
        progress: Whether to show a progress bar.

    Returns:
        ``out_dir`` (str), ``created`` (False if an equal data set was kept), ``parameters``, ``classes``, and per split
        ``images``, ``boxes``, ``sizes`` (COCO's small, medium and large box areas) and ``per_class`` counts.

    Raises:
        TypeError, ValueError: an argument is wrong.
        FileExistsError: ``out_dir`` holds anything else; nothing in it is touched.
        ImportError: scikit-learn is not installed.
    """
    parameters = check_parameters(num_train, num_val, image_size, seed)

    def is_complete(folder: Path) -> bool:
        return all(
            (folder / 'annotations' / f'instances_{split}2017.json').is_file()
            and len(list((folder / f'{split}2017').glob('*.jpg'))) == parameters[f'num_{split}']
            for split in SPLITS
        )

    def fill(folder: Path) -> dict[str, Any]:
        scans, labels = load_scans()
        pools = split_scans(labels, seed)
        (folder / 'annotations').mkdir()
        summary: dict[str, Any] = {'classes': list(DIGIT_CLASSES)}
        for number, split in enumerate(SPLITS):
            count = parameters[f'num_{split}']
            generators = (np.random.default_rng([seed, number, index]) for index in range(count))
            drawn = (compose_image(scans, labels, pools[split], image_size, rng) for rng in generators)
            summary[split] = _write_split(folder, split, progress_bar(drawn, count, split, progress))
        return summary

    return make_folder(out_dir, _NAME, _VERSION, parameters, fill, is_complete)


def _write_split(root: Path, split: str, drawn: Iterable[DrawnImage]) -> dict[str, Any]:
    """Write the images and annotations of a split and return its summary."""
    folder = root / f'{split}2017'
    folder.mkdir()
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for index, one in enumerate(drawn, 1):
        name = f'{index:012d}.jpg'
        write_image(folder / name, one.image, cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
        height, width = one.image.shape[:2]
        images.append({'id': index, 'file_name': name, 'width': width, 'height': height})
        for box, label in zip(one.boxes, one.labels, strict=True):
            boxes.append(
                {
                    'id': len(boxes) + 1,
                    'image_id': index,
                    'category_id': label + 1,
                    'bbox': list(box),
                    'area': box[2] * box[3],
                    'iscrowd': 0,
                }
            )
    content = {
        'info': {'description': _NAME, 'version': str(_VERSION)},
        'licenses': [],
        'images': images,
        'annotations': boxes,
        'categories': [
            {'id': digit + 1, 'name': name, 'supercategory': 'digit'} for digit, name in enumerate(DIGIT_CLASSES)
        ],
    }
    write_json(root / 'annotations' / f'instances_{split}2017.json', content, indent=None)
    return _summarize(images, boxes)


def _summarize(images: list[dict[str, Any]], boxes: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the images, and the boxes by class and size."""
    small = sum(box['area'] < 32**2 for box in boxes)  # COCO's limits, px
    large = sum(box['area'] >= 96**2 for box in boxes)
    per_class = {
        name: sum(box['category_id'] == digit + 1 for box in boxes) for digit, name in enumerate(DIGIT_CLASSES)
    }
    return {
        'images': len(images),
        'boxes': len(boxes),
        'per_class': per_class,
        'sizes': {'small': small, 'medium': len(boxes) - small - large, 'large': large},
    }
