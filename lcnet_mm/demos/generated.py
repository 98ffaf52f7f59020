"""Folders of generated data, which appear complete or not at all and never replace anything else."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..utils.files import write_json

_INFO_FILE = 'dataset_info.json'
SPLITS = ('train', 'val')


def make_folder(
    out_dir: str | os.PathLike[str],
    name: str,
    version: int,
    parameters: dict[str, Any],
    fill: Callable[[Path], dict[str, Any]],
    is_complete: Callable[[Path], bool],
) -> dict[str, Any]:
    """Make the folder of a generated data set, or keep an equal one.

    The folder is built under another name and then renamed, so that an interrupted run leaves nothing.

    Args:
        out_dir: The folder.
        name: Name of the data set, for ``dataset_info.json`` and messages.
        version: Version of its images.
        parameters: What the images depend on, as JSON types.
        fill: Makes the content in a folder and returns a summary of it.
        is_complete: Returns whether a folder holds all files.

    Returns:
        ``out_dir`` (str), ``created`` (False if an equal data set was kept), ``parameters`` and the summary.

    Raises:
        FileExistsError: ``out_dir`` holds anything else; nothing in it is touched.
    """
    target = Path(os.path.abspath(os.path.expanduser(out_dir)))

    def existing() -> dict[str, Any] | None:
        return _existing_folder(target, name, version, parameters, is_complete)

    kept = existing()
    if kept is not None:
        return {'out_dir': str(target), 'created': False, **kept}
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f'.{target.name}-', dir=target.parent))
    try:
        work.chmod(0o777 & ~_umask())  # mkdtemp's folders are private, a data set is not
        summary = {'parameters': parameters, **fill(work)}
        write_json(work / _INFO_FILE, {'name': name, 'version': version, **summary}, indent=2)
        try:
            if target.is_dir():
                target.rmdir()  # only works on an empty folder; on Windows a rename does not replace one
            work.rename(target)
        except OSError:
            # Another process may have been faster. Its data set is equal; anything else is refused here.
            if existing() is None:
                raise
            return {'out_dir': str(target), 'created': False, **summary}
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {'out_dir': str(target), 'created': True, **summary}


def _existing_folder(
    target: Path, name: str, version: int, parameters: dict[str, Any], is_complete: Callable[[Path], bool]
) -> dict[str, Any] | None:
    """Return the summary of an equal data set, or None if the folder is empty or does not exist.

    Raises:
        FileExistsError: the folder holds anything else.
    """
    if not os.path.lexists(target):
        return None
    if not target.is_dir():
        raise FileExistsError(f'{target} is not a folder')
    if not any(target.iterdir()):
        return None
    try:
        info = json.loads((target / _INFO_FILE).read_text(encoding='utf-8'))
        ours = info.pop('name') == name
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        ours = False
    if not ours:
        raise FileExistsError(f'{target} is not empty and does not hold the {name}: choose another folder')
    found_version, found = info.pop('version', None), info.get('parameters')
    if found_version != version or found != parameters:
        raise FileExistsError(
            f'{target} holds the {name} of version {found_version} with {found}, not version {version} with '
            f'{parameters}: delete it or choose another folder'
        )
    if not is_complete(target):
        raise FileExistsError(f'{target} holds {name}, but files are missing in it: delete it and run this again')
    result: dict[str, Any] | None = info
    return result


def check_parameters(num_train: int, num_val: int, image_size: tuple[int, int], seed: int) -> dict[str, Any]:
    """Return the arguments of a data set's maker as JSON types.

    Raises:
        TypeError, ValueError: an argument is wrong.
    """
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


def progress_bar(items: Iterable[Any], total: int, split: str, show: bool) -> Iterable[Any]:
    """Show how many images of a split are done."""
    from tqdm import tqdm

    return tqdm(items, total=total, desc=f'{split} images', unit='image', leave=False, disable=not show)


def _umask() -> int:
    """Return the process's mask of file permissions, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
