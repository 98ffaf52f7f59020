"""Where the paths of images come from: text lists and folders, one path at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..utils.errors import UserError
from ..utils.images import IMAGE_SUFFIXES

# The label of an image that has none.
UNLABELLED = -1
_SUFFIXES = tuple(suffix.encode() for suffix in IMAGE_SUFFIXES)


def read_list(
    file: str | Path, *, with_label: bool = False, num_classes: int | None = None, owner: str = 'the data set'
) -> Iterator[tuple[bytes, int]]:
    """Yield the paths and class indices of a text list in its order; blank lines are passed over.

    Args:
        file: One image per line: its path, which may have spaces inside.
        with_label: Whether a space and the class index follow the path, as in PaddleClas' and mmpretrain's lists.
        num_classes: Classes that there are, if that is known.
        owner: What has so many classes, for the message.

    Yields:
        The path as it stands in the list, encoded, and its class index; :data:`UNLABELLED` without labels.

    Raises:
        UserError: the list is missing, empty or no text, or a line has no class index or one that is too large.
    """
    if not Path(file).is_file():
        raise UserError(f'list of images {file} does not exist')
    empty = True
    with Path(file).open('rb') as lines:
        for number, line in enumerate(lines, 1):
            path, label = line.strip(), UNLABELLED
            if not path:
                continue
            if b'\0' in path:
                raise UserError(f'{file}, line {number} is no text; expected a list with the path of an image per line')
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
            f"{where}: expected 'PATH CLASS_INDEX', got {os.fsdecode(line)!r}; is it a list without labels?"
        )
    return path, int(word[0])


def walk_folder(folder: str | Path) -> Iterator[bytes]:
    """Yield the images in a folder and all below it in a fixed order; links to folders are followed.

    The names of one folder at a time are held in memory.

    Yields:
        Encoded paths that begin with ``folder``.

    Raises:
        UserError: the folder is missing, cannot be read or has no image, or the name of one has a line break.
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
    """Whether a link leads to a folder that it is inside of, which would never end."""
    if not os.path.islink(folder):
        return False
    inside, target = os.path.realpath(os.path.dirname(folder)), os.path.realpath(folder)
    return os.path.join(inside, b'').startswith(os.path.join(target, b''))
