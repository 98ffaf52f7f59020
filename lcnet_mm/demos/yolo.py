"""The digits as labeling tools export boxes: YOLO's text files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..utils.errors import UserError
from ..utils.files import make_folder, write_atomically
from .digits import DIGIT_CLASSES
from .generated import SPLITS


def write_yolo(digits: str | os.PathLike[str], out_dir: str | os.PathLike[str]) -> Path:
    """Write a digits data set in YOLO's layout: ``data.yaml``, ``images/SPLIT`` and ``labels/SPLIT``.

    Each image has a text file with a line for each box: class, center and size, relative to those of the image. Images
    are hard links where the disk has them.

    Args:
        digits: The folder that :func:`~lcnet_mm.demos.make_digits_dataset` made.
        out_dir: Folder to make.

    Returns:
        The file ``data.yaml``.

    Raises:
        UserError: ``out_dir`` has files, or cannot be written.
    """
    digits, folder = Path(digits), Path(out_dir)
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f'{folder} is not empty; choose another folder')
    make_folder(folder)
    for split in SPLITS:
        content = json.loads((digits / 'annotations' / f'instances_{split}2017.json').read_text())
        for kind in ('images', 'labels'):
            (folder / kind / split).mkdir(parents=True)
        for image in content['images']:
            source = digits / f'{split}2017' / image['file_name']
            target = folder / 'images' / split / image['file_name']
            try:
                target.hardlink_to(source)
            except OSError:
                target.write_bytes(source.read_bytes())
        lines: dict[int, list[str]] = {image['id']: [] for image in content['images']}
        sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
        number = {category['id']: index for index, category in enumerate(content['categories'])}
        for box in content['annotations']:
            (x, y, w, h), (width, height) = box['bbox'], sizes[box['image_id']]
            values = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            numbers = ' '.join(f'{value:.6f}' for value in values)
            lines[box['image_id']].append(f'{number[box["category_id"]]} {numbers}\n')
        for image in content['images']:
            label = (folder / 'labels' / split / image['file_name']).with_suffix('.txt')
            label.write_text(''.join(lines[image['id']]))
    names = ''.join(f"  {index}: '{name}'\n" for index, name in enumerate(DIGIT_CLASSES))
    file = folder / 'data.yaml'
    write_atomically(file, f'path: .\ntrain: images/train\nval: images/val\nnames:\n{names}')
    return file
