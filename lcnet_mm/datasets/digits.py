"""A small detection data set of real handwriting, made in seconds and without a download.

scikit-learn ships 1,797 scans of handwritten digits (8x8 pixels, UCI "Optical Recognition of Handwritten Digits"). They
are enlarged smoothly, rotated and sheared a little, inked in different colours and pasted on noisy backgrounds. The
result has COCO's folders and file names, so a COCO config needs only another ``data_root`` and the ten class names.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .digit_pictures import NOMINAL_SIDE, compose_picture

DIGIT_CLASSES = tuple('0123456789')
INFO_FILE = 'dataset_info.json'
# Raise this whenever the pictures of the same parameters change: the data set of another version is another one.
VERSION = 1
NAME = 'lcnet_mm handwritten digits'
SPLITS = ('train', 'val')

JPEG_QUALITY = 95


def load_scans() -> tuple[np.ndarray, np.ndarray]:
    """Reads the scans bundled with scikit-learn.

    Returns:
        float32 array of shape (1797, 8, 8) with ink 0 to 1, and int64 array of shape (1797,) with the digits.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError('the digits come from scikit-learn: pip install scikit-learn') from error
    digits = load_digits()
    return (digits.images / 16).astype(np.float32), digits.target.astype(np.int64)


def split_scans(labels: np.ndarray | None = None, seed: int = 0, val_share: float = 0.2) -> dict[str, np.ndarray]:
    """Splits the scans per class, so that no scan of the validation pictures appears in a training picture.

    Args:
        labels: int array of shape (N,), the digit of each scan; the bundled scans by default.
        seed: Seed of the split.
        val_share: Share of each class that goes to validation, strictly between 0 and 1.

    Returns:
        Sorted scan indices under the keys 'train' and 'val'.
    """
    if labels is None:
        labels = load_scans()[1]
    rng = np.random.default_rng([seed, len(SPLITS)])  # the pictures use [seed, 0, index] and [seed, 1, index]
    parts: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(labels == digit))
        count = round(len(members) * val_share)
        parts['val'].append(members[:count])
        parts['train'].append(members[count:])
    return {split: np.sort(np.concatenate(parts[split])) for split in SPLITS}


def make_digits_dataset(
    out_dir: str | os.PathLike,
    num_train: int = 1000,
    num_val: int = 100,
    image_size: tuple[int, int] = (NOMINAL_SIDE, NOMINAL_SIDE),
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Makes the digits data set in COCO's layout, or keeps the one that is there.

    Picture `i` of a split depends on ``seed``, the split, `i` and ``image_size`` alone; with the same library versions
    the files are the same byte for byte. The folder appears complete or not at all: it is built beside its place and
    renamed.

    Args:
        out_dir: Folder to make. ``annotations/``, ``train2017/``, ``val2017/`` and ``dataset_info.json`` appear in it.
        num_train: Number of training pictures, at least 1.
        num_val: Number of validation pictures, at least 1.
        image_size: Nominal (width, height) in px, each 64 to 2048; the sides of each picture vary by a quarter.
        seed: Seed, at least 0.
        progress: Shows a progress bar.

    Returns:
        ``out_dir`` (str), ``created`` (False if an equal data set was kept), ``parameters``, ``classes``, and per split
        ``images``, ``boxes``, ``sizes`` (COCO's small, medium and large box areas) and ``per_class`` counts.

    Raises:
        TypeError, ValueError: If an argument is wrong.
        FileExistsError: If ``out_dir`` holds anything else; nothing in it is touched.
        ImportError: If scikit-learn is not installed.
    """
    parameters = _check_parameters(num_train, num_val, image_size, seed)
    target = Path(os.path.abspath(os.path.expanduser(out_dir)))
    kept = _existing_dataset(target, parameters)
    if kept is not None:
        return {'out_dir': str(target), 'created': False, **kept}
    scans, labels = load_scans()
    pools = split_scans(labels, seed)

    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f'.{target.name}-', dir=target.parent))
    try:
        work.chmod(0o777 & ~_umask())  # mkdtemp's folders are private, a data set is not
        summary: dict[str, Any] = {'parameters': parameters, 'classes': list(DIGIT_CLASSES)}
        (work / 'annotations').mkdir()
        for number, split in enumerate(SPLITS):
            count = parameters[f'num_{split}']
            folder = work / f'{split}2017'
            folder.mkdir()
            images: list[dict[str, Any]] = []
            boxes: list[dict[str, Any]] = []
            for index in _progress(range(count), split, progress):
                rng = np.random.default_rng([seed, number, index])
                picture = compose_picture(scans, labels, pools[split], image_size, rng)
                name = f'{index + 1:012d}.jpg'
                _write_image(folder / name, picture.image)
                height, width = picture.image.shape[:2]
                images.append({'id': index + 1, 'file_name': name, 'width': width, 'height': height})
                for box, label in zip(picture.boxes, picture.labels, strict=True):
                    boxes.append(
                        {
                            'id': len(boxes) + 1,
                            'image_id': index + 1,
                            'category_id': label + 1,
                            'bbox': list(box),
                            'area': box[2] * box[3],
                            'iscrowd': 0,
                        }
                    )
            _write_json(
                work / 'annotations' / f'instances_{split}2017.json',
                {
                    'info': {'description': NAME, 'version': str(VERSION)},
                    'licenses': [],
                    'images': images,
                    'annotations': boxes,
                    'categories': [
                        {'id': digit + 1, 'name': name, 'supercategory': 'digit'}
                        for digit, name in enumerate(DIGIT_CLASSES)
                    ],
                },
            )
            summary[split] = _summarise(images, boxes)
        _write_json(work / INFO_FILE, {'name': NAME, 'version': VERSION, **summary}, indent=2)
        try:
            if target.is_dir():
                target.rmdir()  # only an empty folder goes; os.replace would not take its place on Windows
            work.rename(target)
        except OSError:
            # Another process may have been faster: its data set is as good, anything else is refused here.
            if _existing_dataset(target, parameters) is None:
                raise
            return {'out_dir': str(target), 'created': False, **summary}
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {'out_dir': str(target), 'created': True, **summary}


def _check_parameters(num_train: int, num_val: int, image_size: tuple[int, int], seed: int) -> dict[str, Any]:
    for name, value, least in (('num_train', num_train, 1), ('num_val', num_val, 1), ('seed', seed, 0)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f'{name} must be an int, got {value!r}')
        if value < least:
            raise ValueError(f'{name} must be at least {least}, got {value}')
    if (
        not isinstance(image_size, (tuple, list))
        or len(image_size) != 2
        or not all(type(side) is int for side in image_size)
    ):
        raise TypeError(f'image_size must be two ints (width, height), got {image_size!r}')
    if not all(64 <= side <= 2048 for side in image_size):
        raise ValueError(f'image_size must have sides of 64 to 2048 px, got {tuple(image_size)}')
    return {'num_train': num_train, 'num_val': num_val, 'image_size': list(image_size), 'seed': seed}


def _existing_dataset(target: Path, parameters: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the summary of an equal data set, None where there is nothing, and raises for everything else."""
    if not os.path.lexists(target):
        return None
    if not target.is_dir():
        raise FileExistsError(f'{target} is not a folder')
    if not any(target.iterdir()):
        return None
    try:
        info = json.loads((target / INFO_FILE).read_text(encoding='utf-8'))
        ours = info.pop('name') == NAME
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        ours = False
    if not ours:
        raise FileExistsError(f'{target} is not empty and holds no digits data set: choose another folder')
    version, found = info.pop('version', None), info.get('parameters')
    if version != VERSION or found != parameters:
        raise FileExistsError(
            f'{target} holds the digits data set of version {version} with {found}, not version {VERSION} with '
            f'{parameters}: delete it or choose another folder'
        )
    complete = all(
        (target / 'annotations' / f'instances_{split}2017.json').is_file()
        and len(list((target / f'{split}2017').glob('*.jpg'))) == parameters[f'num_{split}']
        for split in SPLITS
    )
    if not complete:
        raise FileExistsError(f'{target} holds a digits data set that lacks files: delete it and run this again')
    return info


def _summarise(images: list[dict[str, Any]], boxes: list[dict[str, Any]]) -> dict[str, Any]:
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


def _write_image(path: Path, image: np.ndarray) -> None:
    # Not cv2.imwrite: it only returns False when the disk is full.
    path.write_bytes(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes())


def _write_json(path: Path, content: dict[str, Any], indent: int | None = None) -> None:
    path.write_text(json.dumps(content, indent=indent) + '\n', encoding='utf-8')


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _progress(items: range, split: str, show: bool) -> Iterable[int]:
    if not show:
        return items
    try:
        from tqdm import tqdm
    except ImportError:
        print(f'drawing {len(items)} {split} pictures', flush=True)
        return items
    return tqdm(items, desc=f'{split} pictures', unit='picture', leave=False)
