"""A small classification data set of real handwriting: folders of images, most of them to be used without labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..utils.images import write_image
from .digits import load_scans, split_scans
from .generated import SPLITS, make_folder

_NAME = 'lcnet_mm digit scans'
# To be raised whenever the same parameters give other images, so that a data set of an earlier version is not reused.
_VERSION = 2
_SIDE = 32
_LABELED, _UNLABELED = 'meta/labeled.txt', 'meta/unlabeled.txt'


def make_scans_dataset(out_dir: str | os.PathLike[str], num_labeled: int = 100, seed: int = 0) -> dict[str, Any]:
    """Make scikit-learn's 1,797 scans of digits as images in folders of classes, or keep the ones that are there.

    ``train/DIGIT/*.png`` and ``val/DIGIT/*.png``, enlarged from 8x8 to 32x32 pixels, four fifths for training. Two
    lists divide the training scans for semi-supervised learning: ``meta/labeled.txt`` (``PATH LABEL``, the same number
    of each digit) and ``meta/unlabeled.txt`` (``PATH``), relative to ``train``.

    Args:
        out_dir: Folder to make.
        num_labeled: Number of labeled scans, a multiple of 10 from 10 to 1000.
        seed: Seed of the split, at least 0.

    Returns:
        ``out_dir`` (str), ``created`` (False if an equal data set was kept), ``parameters``, and the number of
        ``images`` per split.

    Raises:
        ValueError: an argument is wrong.
        FileExistsError: ``out_dir`` holds anything else; nothing in it is touched.
        ImportError: scikit-learn is not installed.
    """
    if num_labeled not in range(10, 1001, 10):
        raise ValueError(f'num_labeled must be a multiple of 10 from 10 to 1000, got {num_labeled!r}')
    if seed < 0:
        raise ValueError(f'seed must be at least 0, got {seed}')
    scans, labels = load_scans()
    parts = split_scans(labels, seed)

    def is_complete(folder: Path) -> bool:
        lists = all((folder / name).is_file() for name in (_LABELED, _UNLABELED))
        return lists and all(len(list((folder / split).glob('*/*.png'))) == len(parts[split]) for split in SPLITS)

    def fill(folder: Path) -> dict[str, Any]:
        for split in SPLITS:
            for index in parts[split]:
                file = folder / split / _image_name(index, labels)
                file.parent.mkdir(parents=True, exist_ok=True)
                write_image(file, _enlarge(scans[index]))
        rng = np.random.default_rng([seed, 2])
        chosen: set[int] = set()
        for digit in range(10):
            members = parts['train'][labels[parts['train']] == digit]
            chosen.update(rng.choice(members, num_labeled // 10, replace=False).tolist())
        (folder / 'meta').mkdir()
        names = {index: _image_name(index, labels) for index in parts['train']}
        labeled = [f'{name} {labels[index]}\n' for index, name in names.items() if index in chosen]
        unlabeled = [f'{name}\n' for index, name in names.items() if index not in chosen]
        (folder / _LABELED).write_text(''.join(labeled))
        (folder / _UNLABELED).write_text(''.join(unlabeled))
        return {split: {'images': len(parts[split])} for split in SPLITS}

    return make_folder(out_dir, _NAME, _VERSION, {'num_labeled': num_labeled, 'seed': seed}, fill, is_complete)


def _image_name(index: int, labels: np.ndarray) -> str:
    """Return the path of a scan in the folder of its split."""
    return f'{labels[index]}/{index:04d}.png'


def _enlarge(scan: np.ndarray) -> np.ndarray:
    """Return a scan ``(8, 8)`` with ink 0 to 1 as an image ``(32, 32, 3)`` uint8, white on black."""
    large = cv2.resize(scan, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    gray = np.round(255 * np.clip(large, 0, 1)).astype(np.uint8)
    return np.repeat(gray[..., None], 3, 2)
