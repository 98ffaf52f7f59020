"""Paths of images from text lists and folders, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..utils.errors import UserError
from ..utils.images import IMAGE_SUFFIXES

# Label of an image without one.
UNLABELED = -1
_SUFFIXES = tuple(suffix.encode() for suffix in IMAGE_SUFFIXES)


def read_list(
    file: str | Path, *, with_label: bool = False, num_classes: int | None = None, owner: str = 'the data set'
) -> Iterator[tuple[bytes, int]]:
    """Yield the path and the class index of each line of a text list; blank lines are skipped.

    Args:
        file: Text file with the path of an image per line; paths may contain spaces.
        with_label: Whether a space and the class index follow the path, as in PaddleClas' and mmpretrain's lists.
        num_classes: Number of classes, if it is known.
        owner: What has this number of classes, for the message.

    Yields:
        The path in the list, encoded, and the class index, :data:`UNLABELED` without labels.

    Raises:
        UserError: the list is missing, empty or not a text file, or a line has no class index or one that is too large.
    """
    if not Path(file).is_file():
        raise UserError(f'list of images {file} does not exist')
    empty = True
    with Path(file).open('rb') as lines:
        for number, line in enumerate(lines, 1):
            path, label = line.strip(), UNLABELED
            if not path:
                continue
            if b'\0' in path:
                raise UserError(f'{file}, line {number} is not text; expected the path of an image per line')
            if with_label:
                path, label = _split_label(path, f'{file}, line {number}')
                if num_classes is not None and label >= num_classes:
                    raise UserError(
                        f'{file}, line {number}: class index {label}, but {owner} has {num_classes} classes'
                    )
            empty = False
            yield path, label
    if empty:
        raise UserError(f'list of images {file} is empty')


def _split_label(line: bytes, where: str) -> tuple[bytes, int]:
    """Split ``PATH CLASS_INDEX`` at the last space."""
    path, *word = line.rsplit(None, 1)
    if not word or not word[0].isdigit():
        raise UserError(
            f"{where}: expected 'PATH CLASS_INDEX', got {os.fsdecode(line)!r}; perhaps the list has no labels"
        )
    return path, int(word[0])


def walk_folder(folder: str | Path) -> Iterator[bytes]:
    """Yield the images in a folder and its subfolders in a fixed order; links to folders are followed.

    Only the names in one folder at a time are in memory.

    Yields:
        Encoded paths that begin with ``folder``.

    Raises:
        UserError: the folder is missing, cannot be read or has no image, or the name of an image has a line break.
    """
    if not Path(folder).is_dir():
        raise UserError(f'folder of images {folder} does not exist')
    empty = True
    for root, folders, names in os.walk(os.fsencode(folder), onerror=_refuse_folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not _leads_back(os.path.join(root, name)))
        for name in sorted(names):
            if name.lower().endswith(_SUFFIXES):
                path = os.path.join(root, name)
                if b'\n' in path:
                    raise UserError(f'image {os.fsdecode(path)!r} has a line break in its name; rename it')
                empty = False
                yield path
    if empty:
        raise UserError(f'folder {folder} has no image ({", ".join(IMAGE_SUFFIXES)})')


def _refuse_folder(error: OSError) -> None:
    """Raise a UserError for a folder that cannot be read."""
    raise UserError(f'folder {error.filename!r} cannot be read: {error.strerror}') from error


def _leads_back(folder: bytes) -> bool:
    """Return whether a folder is a link to one of its parents, which would never end."""
    if not os.path.islink(folder):
        return False
    inside, target = os.path.realpath(os.path.dirname(folder)), os.path.realpath(folder)
    return os.path.join(inside, b'').startswith(os.path.join(target, b''))
