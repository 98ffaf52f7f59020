"""Checks of image files as a loader will read them: existence, content, size after EXIF rotation, and all pixels."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from ..utils.images import IMAGE_SUFFIXES
from .report import Findings

Size = tuple[int, int]
Fault = tuple[str, str]
_Item = TypeVar('_Item')

_ORIENTATION = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)
_TEXT_STARTS = {
    b'<!DOCTYPE': 'a page of HTML',
    b'<html': 'a page of HTML',
    b'version https://git-lfs': 'a Git LFS pointer',
}
_SUFFIXES_OF = {
    'JPEG': ('.jpg', '.jpeg', '.jpe', '.jfif'),
    'MPO': ('.jpg', '.jpeg', '.mpo'),
    'PNG': ('.png',),
    'BMP': ('.bmp',),
    'WEBP': ('.webp',),
    'TIFF': ('.tif', '.tiff'),
}


class ImageFile(NamedTuple):
    """An image that a data set lists.

    Attributes:
        path: Where the loader looks for it.
        size: Width and height that are listed, or None.
    """

    path: Path
    size: Size | None = None


@dataclass(frozen=True)
class FileChecks:
    """How closely image files are looked at.

    Attributes:
        headers: Of how many files at most the headers are read, evenly spread; None reads all.
        decode: Whether all pixels of those are decoded.
        rotates: Whether the loader turns images by their EXIF orientation, as mmcv's does by default.
        workers: Files at a time; None for all cores.
    """

    headers: int | None = None
    decode: bool = False
    rotates: bool = True
    workers: int | None = None


def check_files(
    files: Sequence[ImageFile], findings: Findings, checks: FileChecks, *, may_be_missing: bool = True
) -> None:
    """Check that files exist and are images of the listed size.

    Args:
        files: The images.
        findings: Where to report.
        checks: How closely to look.
        may_be_missing: Whether the files come from a list and not from their folder.
    """
    folders = _Folders()
    present = [] if may_be_missing else list(files)
    for file in files if may_be_missing else ():
        fault = folders.find_fault(file.path)
        if fault:
            findings.add(fault[0], fault[1])
        else:
            present.append(file)
    chosen = spread(present, checks.headers)
    if len(chosen) < len(present):
        findings.add('config-sample', text=f'headers of {len(chosen)} of {len(present)} images read')
    with ThreadPoolExecutor(checks.workers or os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # Pillow's remarks on large images and broken EXIF.
        for faults in pool.map(lambda file: inspect_image(file, checks)[1], chosen):
            for rule, example in faults:
                findings.add(rule, example)


def spread(items: Sequence[_Item], count: int | None) -> Sequence[_Item]:
    """Return at most ``count`` items, evenly spread."""
    if count is None or len(items) <= count:
        return items
    return [items[row] for row in np.linspace(0, len(items) - 1, count).astype(int).tolist()]


class _Folders:
    """Lists each folder once, which is much faster than a look at each of its files."""

    def __init__(self) -> None:
        self._sizes: dict[str, dict[str, int]] = {}

    def find_fault(self, path: Path) -> Fault | None:
        """Return what is wrong with a file before it is opened, or None."""
        parent, name = os.path.split(path)
        try:
            sizes = self._sizes.get(parent)
            if sizes is None:
                sizes = self._sizes[parent] = self._list(parent)
        except (OSError, ValueError):
            sizes = self._sizes[parent] = {}
        size = sizes.get(name)
        if size is None or name in ('', '.', '..'):
            twin = next((other for other in sizes if other.lower() == name.lower()), None)
            return ('file-case', f'{path}, found {twin}') if twin else ('file-missing', str(path))
        if size < 0:
            return 'file-not-image', f'{path} is a folder'
        return ('file-empty', str(path)) if size == 0 else None

    @staticmethod
    def _list(parent: str) -> dict[str, int]:
        """Return the sizes of the files in a folder; -1 for a folder in it. Broken links are left out."""
        sizes = {}
        with os.scandir(parent or '.') as entries:
            for entry in entries:
                try:
                    sizes[entry.name] = -1 if entry.is_dir() else entry.stat().st_size
                except OSError:
                    continue
        return sizes


def inspect_image(file: ImageFile, checks: FileChecks) -> tuple[Size | None, list[Fault]]:
    """Look into an image file.

    Returns:
        Its width and height as the loader will have them, None if it is not an image, and what is wrong.
    """
    path, listed = file
    name = str(path)
    faults: list[Fault] = []
    try:
        with Image.open(path) as image:
            size, orientation = image.size, _read_orientation(image)
            faults += _describe_header(image, path)
    except Exception as error:  # Pillow's readers of broken files raise almost anything.
        if isinstance(error, MemoryError):
            raise
        if isinstance(error, PermissionError):
            return None, [('file-undecodable', f'{name}: {error.strerror}')]
        found = decode_size(path, checks.rotates)
        if found is None:
            return None, [_describe_content(path, isinstance(error, UnidentifiedImageError))]
        size, orientation = found, 1
    if checks.decode or orientation != 1:
        found = decode_size(path, checks.rotates)
        if found is None:
            return None, [*faults, ('file-truncated' if _is_cut(path) else 'file-undecodable', name)]
        if checks.decode and _is_cut(path):
            faults.append(('file-truncated', name))
        if orientation != 1 and checks.rotates:
            faults += _compare_turned(name, size, found, listed, orientation)
            return found, faults
        size = found
    if listed is not None and size != listed:
        faults.append(('file-size', f'{name} is {_show(size)}, listed as {_show(listed)}'))
    return size, faults


def _compare_turned(name: str, stored: Size, loaded: Size, listed: Size | None, orientation: int) -> list[Fault]:
    """Compare the sizes of an image with an EXIF orientation: OpenCV heeds it in some formats only."""
    if listed is not None and loaded != listed:
        shown = f'{name} is loaded as {_show(loaded)}, listed as {_show(listed)}'
        return [('file-rotated' if stored == listed else 'file-size', shown)]
    turns_unseen = orientation not in _QUARTER_TURNS or loaded[0] == loaded[1]
    # Where the listed size is that of the turned image, its boxes are too.
    return [('file-exif', f'{name}: orientation {orientation}')] if listed is not None and turns_unseen else []


def _read_orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Broken EXIF; OpenCV passes over it.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _describe_header(image: Image.Image, path: Path) -> list[Fault]:
    faults: list[Fault] = []
    if image.mode in ('RGBA', 'LA', 'PA') or 'transparency' in image.info:
        faults.append(('file-alpha', str(path)))
    if image.mode.startswith(('I', 'F')):
        faults.append(('file-16-bit', str(path)))
    suffixes = _SUFFIXES_OF.get(image.format or '')
    if suffixes and path.suffix.lower() in IMAGE_SUFFIXES and path.suffix.lower() not in suffixes:
        faults.append(('file-suffix', f'{path} is {image.format}'))
    return faults


def decode_size(path: Path, rotates: bool = True) -> Size | None:
    """Decode an image as mmcv does, and return its width and height; None if OpenCV cannot."""
    flag = cv2.IMREAD_COLOR | (0 if rotates else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, flag) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else (image.shape[1], image.shape[0])


def _is_cut(path: Path) -> bool:
    """Whether a file ends before its image does; OpenCV 4 fills the rest of a JPEG with gray."""
    try:
        with path.open('rb') as file:
            file.seek(max(0, path.stat().st_size - 4096))
            if b'\xff\xd9' in file.read():
                return False
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        return 'truncated' in str(error) or isinstance(error, EOFError | SyntaxError)
    except Exception:
        return False
    return False


def _describe_content(path: Path, unidentified: bool) -> Fault:
    """Say what a file is that is not an image."""
    try:
        with path.open('rb') as file:
            start = file.read(200).lstrip()
    except OSError as error:
        return 'file-undecodable', f'{path}: {error.strerror}'
    if not start:
        return 'file-empty', str(path)
    for text, what in _TEXT_STARTS.items():
        if start.lower().startswith(text.lower()):
            return 'file-not-image', f'{path} is {what}'
    return ('file-not-image' if unidentified else 'file-undecodable'), str(path)


def find_same_content(groups: Iterable[Sequence[Path]]) -> list[tuple[int, Path, int, Path]]:
    """Find files with the same bytes.

    Only files of the same length are opened, and only those with the same first 4 KiB are read whole.

    Args:
        groups: Files by set.

    Returns:
        The later file of each pair and the first one with its content, each with the number of its group, in order.
    """
    by_size: dict[int, dict[str, tuple[int, Path]]] = defaultdict(dict)
    pairs = []
    for group, files in enumerate(groups):
        for path in files:
            try:
                first = by_size[path.stat().st_size].setdefault(os.path.realpath(path), (group, path))
            except (OSError, ValueError):
                continue
            if first[0] != group:
                pairs.append((group, path, *first))
    for size, entries in by_size.items():
        if len(entries) < 2 or not size:
            continue
        by_start: dict[bytes, list[tuple[int, Path]]] = defaultdict(list)
        for group, path in entries.values():
            by_start[_read_start(path)].append((group, path))
        for start, candidates in by_start.items():
            firsts: dict[bytes, tuple[int, Path]] = {}
            for group, path in candidates if len(candidates) > 1 and start else ():
                try:
                    digest = hashlib.blake2b(path.read_bytes()).digest() if size > len(start) else start
                except OSError:
                    continue
                first = firsts.setdefault(digest, (group, path))
                if first[1] is not path:
                    pairs.append((group, path, *first))
    return pairs


def _read_start(path: Path) -> bytes:
    try:
        with path.open('rb') as file:
            return file.read(4096)
    except OSError:
        return b''


def _show(size: Size) -> str:
    return f'{size[0]}x{size[1]}'
