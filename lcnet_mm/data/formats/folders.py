"""Folders that are labels themselves: one for each class, or one of images and one of masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...utils.errors import UserError
from .finding import visible_files, visible_images
from .samples import CLASSIFICATION, SEGMENTATION, SPLIT_FOLDERS, Item, Remarks, Source

_IMAGE_FOLDERS = ('images', 'JPEGImages', 'img', 'imgs')
_MASK_FOLDERS = ('masks', 'labels', 'SegmentationClass', 'mask', 'annotations', 'Annotations')
IGNORED = 255


def visible_folders(root: Path) -> list[Path]:
    """Return the sorted folders directly in a folder that are not hidden."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(('.', '__')))


def read_class_folders(root: Path, classes: Sequence[str] | None = None) -> Source:
    """Read ``CLASS/*.jpg``, or ``train/CLASS/*.jpg`` and ``val/CLASS/*.jpg``.

    Raises:
        UserError: a folder is not among the given classes.
    """
    remarks, items = Remarks(), []
    splits = {path: SPLIT_FOLDERS[path.name] for path in visible_folders(root) if path.name in SPLIT_FOLDERS}
    names: set[str] = set()
    for place, split in splits.items() or ((root, None),):
        for folder in visible_folders(place):
            names.add(folder.name)
            found = visible_images(folder)
            if not found:
                remarks.add('class folder without an image', folder.name)
            items += [Item(path.relative_to(root).as_posix(), path, label=folder.name, split=split) for path in found]
        for path in sorted(place.iterdir()):
            if path.is_file() and path in visible_images(place):
                remarks.add('image outside of the class folders, left out', path.relative_to(root).as_posix())
    unknown = sorted(names - set(classes or names))
    if unknown:
        raise UserError(f'{root} has the class folder {unknown[0]!r}, which is not among the given classes')
    # mmpretrain numbers the folders in alphabetical order.
    return Source('folders', CLASSIFICATION, sorted(names), items, remarks)


def find_mask_folders(root: Path, images: Path | None = None) -> tuple[Path, Path] | None:
    """Return the folders of images and of masks, or None if the folder is not such a data set."""
    images = images or next((root / name for name in _IMAGE_FOLDERS if (root / name).is_dir()), None)
    masks = next((root / name for name in _MASK_FOLDERS if (root / name).is_dir()), None)
    if images is None or masks is None or not visible_files(masks, '.png'):
        return None
    return images, masks


def read_masks(root: Path, classes: Sequence[str] | None = None, images: Path | None = None) -> Source:
    """Read a folder of images and one of PNG masks with class indices, or of CVAT's colors with ``labelmap.txt``.

    Masks of 0 and 255 only are background and one class; otherwise 255 is ignored in training.

    Raises:
        UserError: there is no such pair of folders, or masks have colors that nothing explains, or unknown indices.
    """
    found = find_mask_folders(root, images)
    if found is None:
        raise UserError(f'{root} has no folder of images ({", ".join(_IMAGE_FOLDERS)}) with one of PNG masks')
    image_folder, mask_folder = found
    remarks, items = Remarks(), []
    masks = {_key(path, mask_folder): path for path in visible_files(mask_folder, '.png')}
    by_stem = {path.stem: path for path in masks.values()}
    used = set()
    for path in visible_images(image_folder):
        mask = masks.get(_key(path, image_folder)) or by_stem.get(path.stem) or by_stem.get(f'{path.stem}_mask')
        first = path.relative_to(image_folder).parts[0]
        items.append(
            Item(
                path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name,
                path,
                mask=mask,
                split=SPLIT_FOLDERS.get(first),
                labeled=mask is not None,
            )
        )
        used.add(mask)
    for path in masks.values():
        if path not in used:
            remarks.add('mask without an image, left out', path.relative_to(root).as_posix())
    names = list(classes) if classes else _mask_classes(root, [item.mask for item in items if item.mask], remarks)
    return Source('masks', SEGMENTATION, names, items, remarks)


def read_mask(path: Path, root: Path, classes: Sequence[str]) -> np.ndarray:
    """Return a mask as class indices, ``(H, W)`` uint8.

    Raises:
        UserError: it is not an image, or has colors or indices that are not classes.
    """
    try:
        with Image.open(path) as image:
            pixels = np.array(image if image.mode in ('P', 'L', 'I;16', 'I') else image.convert('RGB'))
    except (OSError, SyntaxError) as error:
        raise UserError(f'{path} cannot be read as a mask') from error
    if pixels.ndim == 3:
        colors = read_label_map(root)
        if colors is None and (pixels == pixels[..., :1]).all():
            pixels = pixels[..., 0]
        elif colors is None:
            raise UserError(f'{path} has colors; add labelmap.txt with lines NAME:R,G,B::, or save class indices')
        else:
            pixels = _indices_of_colors(pixels, colors, list(classes), path)
    present = set(np.unique(pixels).tolist())
    if len(classes) == 2 and present <= {0, 255} and 255 in present:
        return (pixels > 0).astype(np.uint8)
    if unknown := sorted(present - set(range(len(classes))) - {IGNORED}):
        raise UserError(f'{path} has the index {unknown[0]}; there are {len(classes)} classes, 0 to {len(classes) - 1}')
    return np.asarray(pixels, dtype=np.uint8)


def read_label_map(root: Path) -> dict[str, tuple[int, int, int]] | None:
    """Return the colors of the classes from ``labelmap.txt`` of CVAT; None where there is none."""
    file = root / 'labelmap.txt'
    if not file.is_file():
        return None
    result = {}
    for number, line in enumerate(file.read_text('utf-8-sig').splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        try:
            name, color = line.split(':')[:2]
            red, green, blue = map(int, color.split(','))
        except ValueError:
            raise UserError(f'{file}, line {number}: expected NAME:R,G,B::, got {line!r}') from None
        result[name.strip()] = (red, green, blue)
    return result


def _mask_classes(root: Path, masks: list[Path], remarks: Remarks) -> list[str]:
    colors = read_label_map(root)
    if colors:
        return list(colors)
    for file in (root / 'classes.txt', root / 'labels.txt'):
        if file.is_file():
            return [line.strip() for line in file.read_text('utf-8-sig').splitlines() if line.strip()]
    present: set[int] = set()
    for path in masks:
        with Image.open(path) as image:
            if image.mode in ('P', 'L', 'I;16', 'I'):
                present |= set(np.unique(np.array(image)).tolist())
            else:
                present |= set(np.unique(np.array(image.convert('RGB'))[..., 0]).tolist())
    if present <= {0, IGNORED} and IGNORED in present:
        remarks.add('masks of 0 and 255 only: 255 became class 1, foreground')
        return ['background', 'foreground']
    highest = max(present - {IGNORED}, default=1)
    remarks.add('no names of classes were given or found in classes.txt; the classes are called by their index')
    return ['background', *(f'class_{index}' for index in range(1, max(highest, 1) + 1))]


def _indices_of_colors(
    pixels: np.ndarray, colors: dict[str, tuple[int, int, int]], classes: list[str], path: Path
) -> np.ndarray:
    codes = pixels.astype(np.int64) @ np.array([65536, 256, 1])
    result = np.full(codes.shape, -1)
    for name, color in colors.items():
        if name in classes:
            result[codes == np.dot(color, [65536, 256, 1])] = classes.index(name)
    if (result < 0).any():
        row, column = np.argwhere(result < 0)[0]
        raise UserError(f'{path} has the color {tuple(pixels[row, column].tolist())}, which is not in labelmap.txt')
    return result


def _key(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix('').as_posix()
