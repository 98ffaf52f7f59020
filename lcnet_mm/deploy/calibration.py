"""Pictures for the calibration of INT8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from mmengine.config import Config

from ..data.checks import SPLITS, innermost_datasets
from ..utils.errors import UserError, as_user_error
from ..utils.images import find_images, read_image

# NNCF's own default.
MAX_PICTURES = 300

Item = TypeVar('Item')


def find_calibration(source: str | Path, cfg: Config) -> list[Path]:
    """Choose up to :data:`MAX_PICTURES` pictures, evenly, and check that each can be read.

    Args:
        source: A folder, with all below it, or a COCO annotation file. Pictures of the latter are looked for in the
            folders of the config's data sets, and beside and above the file.
        cfg: The model's config.

    Raises:
        UserError: there are no pictures, one is missing or cannot be decoded, or the file is not COCO's.
    """
    source = Path(source)
    if source.is_dir():
        images = spread(find_images([source]))
    elif source.suffix == '.json':
        images = find_annotated(source, cfg)
    elif source.exists():
        raise UserError(f'--calib {source} is neither a folder of pictures nor a COCO annotation file (.json)')
    else:
        raise UserError(f'--calib {source} does not exist')
    for path in images:
        with as_user_error(f'calibration picture {path}', ValueError):
            read_image(path)
    return images


def spread(items: list[Item]) -> list[Item]:
    """Up to :data:`MAX_PICTURES` items, evenly spaced."""
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, MAX_PICTURES).round().astype(int))]


def find_annotated(ann_file: Path, cfg: Config) -> list[Path]:
    """Find pictures that a COCO file lists; raises as :func:`find_calibration`."""
    try:
        names = [entry['file_name'] for entry in json.loads(ann_file.read_text(encoding='utf-8'))['images']]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'--calib {ann_file} is no COCO annotation file with images and their file_name: '
            f'{type(error).__name__}: {error}'
        ) from error
    if not names:
        raise UserError(f'--calib {ann_file} lists no picture')
    names = spread(names)
    folders = list(dict.fromkeys([*data_folders(cfg, ann_file), ann_file.parent, ann_file.parent.parent]))
    folder = next((folder for folder in folders if (folder / names[0]).is_file()), None)
    if folder is None:
        raise UserError(
            f'--calib {ann_file}: its picture {names[0]} is in none of {", ".join(map(str, folders))}; '
            f"set data_root and data_prefix of the config's data, or give a folder of pictures"
        )
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise UserError(f'--calib {ann_file}: its picture {missing[0]} is missing in {folder}')
    return [folder / name for name in names]


def data_folders(cfg: Config, ann_file: Path) -> list[Path]:
    """The picture folders of all data sets of a config; first those of sets that use the annotation file.

    Pictures of several sets may have the same names.
    """
    own: list[Path] = []
    others: list[Path] = []
    for loader in SPLITS.values():
        for dataset in innermost_datasets(cfg[loader].dataset) if cfg.get(loader) else ():
            root = Path(dataset.get('data_root') or '')
            prefix: Any = dataset.get('data_prefix') or {}
            folders = [root / folder for folder in (prefix.values() if isinstance(prefix, dict) else [prefix])]
            uses_file = (root / (dataset.get('ann_file') or '')).resolve() == ann_file.resolve()
            (own if uses_file else others).extend(folders)
    return own + others


def calibration_arrays(processor: Any, data_preprocessor: Any, images: list[Path]) -> list[np.ndarray]:
    """What the network sees of each picture, ``(1, C, H, W)`` float32.

    Args:
        processor: mmdeploy's task processor.
        data_preprocessor: The model's.
        images: The pictures.
    """
    shape = processor.deploy_cfg.onnx_config.get('input_shape')
    inputs = (processor.create_input(str(path), shape, data_preprocessor=data_preprocessor)[1] for path in images)
    return [np.ascontiguousarray(tensor.numpy()) for tensor in inputs]
