"""Paths and scores of a pool of any size, on disk and never all in memory."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..classification.lists import read_list, walk_folder
from ..utils.errors import UserError
from ..utils.images import IMAGE_SUFFIXES

# The record of an image, 16 bytes: the score of its best class, that class, and its hash.
RECORD = np.dtype([('score', '<f4'), ('label', '<i4'), ('hash', '<u8')])
# Labels of images without a class, and the reasons in messages.
MISSING, UNDECODABLE, UNUSABLE = -1, -2, -3
_REASONS = {
    MISSING: 'missing',
    UNDECODABLE: 'not an image, or truncated',
    UNUSABLE: "the teacher's pipeline fails on it",
}
# Number of records that are read at a time, 1 MiB.
_BLOCK = 65_536


@dataclass
class Source:
    """Folders and lists of images.

    Attributes:
        inputs: Folders, with their subfolders, and text lists.
        root: Folder that the paths in the lists are relative to; by default the folder of each list.
        with_label: Whether a class index follows each path of the lists.
    """

    inputs: Sequence[str | Path]
    root: str | Path | None = None
    with_label: bool = False

    def paths(self, num_classes: int | None = None) -> Iterator[bytes]:
        """Yield the absolute paths, one at a time.

        Args:
            num_classes: Number of classes of the teacher, to check the labels.

        Raises:
            UserError: an input is missing, empty or invalid, two folders overlap, or a label is not a class.
        """
        _check_overlap([Path(path) for path in self.inputs])
        for path in map(Path, self.inputs):
            if path.is_dir():
                yield from walk_folder(path.absolute())
            elif path.suffix.lower() in IMAGE_SUFFIXES:
                raise UserError(f'{path} is an image; name its folder, or a text list of images')
            else:
                root = os.fsencode(Path(self.root or path.parent).absolute())
                for line, _ in read_list(
                    path, with_label=self.with_label, num_classes=num_classes, owner='the teacher'
                ):
                    yield os.path.join(root, line)


def _check_overlap(inputs: Sequence[Path]) -> None:
    """Raise a UserError for folders that are the same or inside each other: their images would count twice."""
    folders = sorted(path.resolve() for path in inputs if path.is_dir())
    for upper, lower in pairwise(folders):
        if lower.is_relative_to(upper):
            raise UserError(f'folder {lower} is named twice or lies in {upper}; name it once')


class PathFile:
    """Paths in a file that are read one at a time, so that the memory does not depend on their number.

    ``NAME.paths`` has a path per line, and ``NAME.ends`` the end of each line as int64. Forked workers share the open
    files.

    Args:
        stem: ``FOLDER/NAME``, without a suffix.
    """

    def __init__(self, stem: Path) -> None:
        self.paths = stem.with_suffix('.paths').open('rb')
        self.ends = stem.with_suffix('.ends').open('rb')
        self.length = os.fstat(self.ends.fileno()).st_size // 8

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, idx: int) -> str:
        start, end = 0, 0
        if idx:
            start, end = array('q', os.pread(self.ends.fileno(), 16, 8 * (idx - 1)))
        else:
            (end,) = array('q', os.pread(self.ends.fileno(), 8, 0))
        return os.fsdecode(os.pread(self.paths.fileno(), end - start - 1, start))


def write_paths(stem: Path, paths: Iterable[bytes]) -> str:
    """Write the files of a :class:`PathFile` under temporary names, for :func:`keep_paths` to rename.

    Returns:
        SHA-256 of the paths.
    """
    digest, end, ends = hashlib.sha256(), 0, array('q')
    with _partial(stem, '.paths').open('wb') as path_file, _partial(stem, '.ends').open('wb') as end_file:
        for path in paths:
            line = path + b'\n'
            path_file.write(line)
            digest.update(line)
            end += len(line)
            ends.append(end)
            if len(ends) == _BLOCK:
                ends.tofile(end_file)
                del ends[:]
        ends.tofile(end_file)
    return digest.hexdigest()


def keep_paths(stem: Path) -> PathFile:
    """Rename the files of :func:`write_paths`, replacing older ones, and open them."""
    for suffix in ('.paths', '.ends'):
        os.replace(_partial(stem, suffix), stem.with_suffix(suffix))
    return PathFile(stem)


def _partial(stem: Path, suffix: str) -> Path:
    """Return the temporary name of a file that is not complete."""
    return stem.with_name(f'.{stem.name}{suffix}.partial')


def read_records(file: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the index of the first record of each block, and the block ``(N,)`` of :data:`RECORD`."""
    for first in range(0, count_records(file), _BLOCK):
        yield first, np.fromfile(file, RECORD, _BLOCK, offset=first * RECORD.itemsize)


def count_records(file: Path) -> int:
    """Return the number of complete records in a file, 0 if it does not exist."""
    return file.stat().st_size // RECORD.itemsize if file.is_file() else 0


def find_unreadable(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the index of each image that could not be read or scored, and the reason."""
    for first, block in read_records(file):
        for idx in np.flatnonzero(block['label'] < 0).tolist():
            yield first + idx, _REASONS[int(block['label'][idx])]
