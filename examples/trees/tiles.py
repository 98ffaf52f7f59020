"""The data of the example: four aerial photographs with 951 boxes of trees, cut into tiles, in COCO's layout."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lcnet_mm.demos.generated import make_folder
from lcnet_mm.utils.errors import UserError, as_user_error
from lcnet_mm.utils.files import write_json
from lcnet_mm.utils.images import read_image, write_image

# Two photographs of Yellowstone, one of Florida and one of California. The large one of Yellowstone and Florida's are
# trained on, so that the first of the others is of a landscape that was seen and the second is not.
PHOTOGRAPHS = {
    'train': ('2019_YELL_2_528000_4978000_image_crop2', 'OSBS_029'),
    'val': ('2019_YELL_2_541000_4977000_image_crop', 'SOAP_061'),
}
TILE = 256  # px; the network enlarges a tile to 320
OVERLAPS = {'train': 64, 'val': 0}
# A box that reaches over the border of a tile is kept if this share of it is inside.
MIN_INSIDE = 0.5
Boxes = np.ndarray


def find_photographs() -> Path:
    """Return the folder of the photographs in the installed package.

    Raises:
        UserError: the package is not installed.
    """
    spec = find_spec('deepforest')
    if spec is None or spec.origin is None:
        raise UserError(
            'the photographs are part of the package deepforest, which is not installed: '
            'pip install --no-deps deepforest==2.1.0'
        )
    return Path(spec.origin).with_name('data')


def read_boxes(file: Path) -> Boxes:
    """Return the boxes ``(N, 4)`` of a Pascal VOC file, xyxy in pixels; trees alive and dead are one class.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        objects = ElementTree.parse(file).getroot().iter('bndbox')
        boxes = [[float(box.findtext(side, '')) for side in ('xmin', 'ymin', 'xmax', 'ymax')] for box in objects]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise UserError(f'annotations {file} cannot be read: {error}') from error
    return np.array(boxes).reshape(-1, 4)


def tile_starts(side: int, overlap: int) -> list[int]:
    """Return where the tiles along a side begin: evenly spread from border to border, with at least the overlap."""
    count = 1 + max(0, -(-(side - TILE) // (TILE - overlap)))
    return [round(start) for start in np.linspace(0, max(0, side - TILE), count)]


def cut_boxes(boxes: Boxes, x: int, y: int) -> Boxes:
    """Return the boxes of the tile at ``(x, y)``, in its pixels, without those of which most is outside."""
    corner = np.array([x, y, x, y])
    inside = np.clip(boxes - corner, 0, TILE)
    areas, whole = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (inside, boxes))
    kept: Boxes = inside[areas >= MIN_INSIDE * whole]
    return kept


def make_tiles(photographs: Path, out_dir: Path) -> dict[str, Any]:
    """Cut the photographs into tiles in COCO's layout, or keep the ones that are there.

    Besides the annotation files of both splits there is one for each photograph, ``annotations/NAME.json``.

    Args:
        photographs: Folder with ``NAME.png`` and ``NAME.xml`` of each photograph.
        out_dir: Folder to make.

    Returns:
        ``out_dir``, ``created`` (False if equal tiles were kept), and ``tiles``: ``images`` and ``boxes`` of each
        photograph and split.

    Raises:
        UserError: a file of the photographs is missing or damaged, or ``out_dir`` holds anything else.
    """

    def is_complete(folder: Path) -> bool:
        return all((folder / 'annotations' / f'instances_{split}2017.json').is_file() for split in PHOTOGRAPHS)

    def fill(folder: Path) -> dict[str, Any]:
        (folder / 'annotations').mkdir()
        summary: dict[str, Any] = {}
        for split, names in PHOTOGRAPHS.items():
            (folder / f'{split}2017').mkdir()
            parts = {name: _cut_photograph(photographs, name, split, folder) for name in names}
            parts[f'instances_{split}2017'] = [tile for name in names for tile in parts[name]]
            for target, tiles in parts.items():
                content = _coco(tiles)
                write_json(folder / 'annotations' / f'{target}.json', content, indent=None)
                summary[target] = {'images': len(content['images']), 'boxes': len(content['annotations'])}
        return {'tiles': summary}

    with as_user_error('the tiles cannot be made', OSError):
        return make_folder(out_dir, 'tiles of trees', 1, {'tile': TILE}, fill, is_complete)


def _cut_photograph(photographs: Path, name: str, split: str, folder: Path) -> list[tuple[str, Boxes]]:
    """Write the tiles of a photograph; returns the name and the boxes of each."""
    with as_user_error(f'photograph {photographs / name}.png', ValueError):
        image = read_image(photographs / f'{name}.png')
    boxes = read_boxes(photographs / f'{name}.xml')
    tiles = []
    for y in tile_starts(image.shape[0], OVERLAPS[split]):
        for x in tile_starts(image.shape[1], OVERLAPS[split]):
            file = f'{name}_{x:04d}_{y:04d}.png'
            write_image(folder / f'{split}2017' / file, image[y : y + TILE, x : x + TILE])
            tiles.append((file, cut_boxes(boxes, x, y)))
    return tiles


def _coco(tiles: list[tuple[str, Boxes]]) -> dict[str, Any]:
    """Return the content of a COCO file."""
    content: dict[str, Any] = {'images': [], 'annotations': [], 'categories': [{'id': 1, 'name': 'tree'}]}
    for image_id, (file, boxes) in enumerate(tiles, 1):
        content['images'].append(dict(id=image_id, file_name=file, width=TILE, height=TILE))
        for x1, y1, x2, y2 in boxes.tolist():
            box = dict(bbox=[x1, y1, x2 - x1, y2 - y1], area=(x2 - x1) * (y2 - y1), iscrowd=0, category_id=1)
            content['annotations'].append(dict(id=len(content['annotations']) + 1, image_id=image_id, **box))
    return content
