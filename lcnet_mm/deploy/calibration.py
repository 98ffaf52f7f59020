"""Images for the calibration of INT8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from mmengine.config import Config

from ..data.checks import SPLITS
from ..data.spec import datasets_of
from ..utils.errors import UserError, as_user_error
from ..utils.images import find_images, read_image
from .inputs import load_input

# NNCF's own default.
MAX_IMAGES = 300

Item = TypeVar('Item')


def find_calibration(source: str | Path, cfg: Config) -> list[Path]:
    """Choose up to :data:`MAX_IMAGES` images, evenly, and check that each can be read.

    Args:
        source: A folder with its subfolders, or a COCO annotation file. Images of the latter are looked for in the
            folders of the config's data sets, in the file's folder, and in the one above.
        cfg: The model's config.

    Raises:
        UserError: there are no images, one is missing or cannot be decoded, or the file is not COCO's.
    """
    source = Path(source)
    if source.is_dir():
        images = spread(find_images([source]))
    elif source.suffix == '.json':
        images = find_annotated(source, cfg)
    elif source.exists():
        raise UserError(f'calibration source {source} is neither a folder of images nor a COCO annotation file (.json)')
    else:
        raise UserError(f'calibration source {source} does not exist')
    for path in images:
        with as_user_error(f'calibration image {path}', ValueError):
            read_image(path)
    return images


def spread(items: list[Item]) -> list[Item]:
    """Return up to :data:`MAX_IMAGES` items, evenly spaced."""
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, MAX_IMAGES).round().astype(int))]


def find_annotated(ann_file: Path, cfg: Config) -> list[Path]:
    """Find images that a COCO file lists; raises as :func:`find_calibration`."""
    try:
        names = [entry['file_name'] for entry in json.loads(ann_file.read_text(encoding='utf-8'))['images']]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'calibration source {ann_file} is not a COCO annotation file with images and their file_name: '
            f'{type(error).__name__}: {error}'
        ) from error
    if not names:
        raise UserError(f'calibration source {ann_file} lists no image')
    names = spread(names)
    folders = list(dict.fromkeys([*data_folders(cfg, ann_file), ann_file.parent, ann_file.parent.parent]))
    folder = next((folder for folder in folders if (folder / names[0]).is_file()), None)
    if folder is None:
        raise UserError(
            f'calibration source {ann_file}: its image {names[0]} is in none of {", ".join(map(str, folders))}; '
            f"set data_root and data_prefix of the config's data, or give a folder of images"
        )
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise UserError(f'calibration source {ann_file}: its image {missing[0]} is missing in {folder}')
    return [folder / name for name in names]


def data_folders(cfg: Config, ann_file: Path) -> list[Path]:
    """Return the image folders of all data sets of a config; first those of sets that use the annotation file.

    Images of several sets may have the same names.
    """
    own: list[Path] = []
    others: list[Path] = []
    for split in SPLITS:
        for dataset in datasets_of(cfg, split):
            root = Path(dataset.get('data_root') or '')
            prefix: Any = dataset.get('data_prefix') or {}
            folders = [root / folder for folder in (prefix.values() if isinstance(prefix, dict) else [prefix])]
            uses_file = (root / (dataset.get('ann_file') or '')).resolve() == ann_file.resolve()
            (own if uses_file else others).extend(folders)
    return own + others


def calibration_arrays(processor: Any, data_preprocessor: Any, images: list[Path]) -> list[np.ndarray]:
    """Return what the network sees of each image, ``(1, C, H, W)`` float32.

    Args:
        processor: mmdeploy's task processor.
        data_preprocessor: The model's.
        images: The images.
    """
    inputs = (load_input(processor, path, data_preprocessor)[1] for path in images)
    return [np.ascontiguousarray(tensor.numpy()) for tensor in inputs]
