"""A copy of the data of a config on a local disk, for data on a slow one."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from tqdm import tqdm

from ..utils.errors import UserError, as_user_error
from ..utils.files import make_folder, write_json
from .spec import datasets_of

_SPLITS = ('train', 'val', 'test')


def copy_data(cfg: Config, folder: str | Path, *, progress: bool = True) -> list[str]:
    """Copy what the data sets of a config read to a folder, and let the config read it there.

    Of a data set with folders and annotations of its own, these are copied; of another, such as one with a text list,
    the whole ``data_root``. A copy appears under its name when it is complete; it is used again as long as names, sizes
    and times of the original are the same, and made anew otherwise. Processes that start together copy once.

    Args:
        cfg: The config, in which ``data_root`` of the data sets, and paths in it of the evaluators, are replaced.
        folder: Where to copy to; one folder serves several data sets.
        progress: Whether to show a progress bar.

    Returns:
        For each data set, a line that says what was copied or used again.

    Raises:
        UserError: a data set has no ``data_root``, something that it reads does not exist, or there is no room.
    """
    target = make_folder(folder)
    wanted: dict[str, set[str]] = {}
    for split in _SPLITS:
        for dataset in datasets_of(cfg, split):
            root = dataset.get('data_root')
            if not root:
                raise UserError(
                    f'copy_data_to copies what lies in data_root of a data set, and that of {split}_dataloader '
                    f'({dataset.get("type")}) has none'
                )
            wanted.setdefault(root, set()).update(_parts(dataset))
    lines = []
    for root, parts in wanted.items():
        with as_user_error(f'the data in {root} cannot be copied to {target}', OSError):
            copy, line = _copy_root(Path(root), parts, target, progress)
        _replace_root(cfg, root, f'{copy}{os.sep}')
        lines.append(line)
    return lines


def _parts(dataset: dict[str, Any]) -> list[str]:
    """Return what a data set reads, relative to its ``data_root``; an empty path is all of it."""
    prefix, ann_file = dataset.get('data_prefix'), dataset.get('ann_file') or ''
    folders: list[Any] = list(prefix.values()) if isinstance(prefix, dict) else [prefix]
    known = all(isinstance(name, str) and name for name in folders) and not dataset.get('split')
    if known and (not ann_file or str(ann_file).endswith('.json')):
        return [*folders, *([ann_file] if ann_file else [])]
    return ['']


def _copy_root(root: Path, parts: set[str], target: Path, progress: bool) -> tuple[Path, str]:
    """Copy parts of a folder unless there is a copy; return the copy, and what was done."""
    chosen = [''] if '' in parts else sorted({os.path.normpath(part) for part in parts})
    for part in chosen:
        if not (root / part).exists():
            raise UserError(f'{root / part} is missing, which a data set of the config reads')
    # Folders of one name, and other parts of one folder, have copies of their own.
    key = hashlib.sha256('\n'.join([str(root.resolve()), *chosen]).encode()).hexdigest()[:8]
    copy = target / f'{root.resolve().name}-{key}'
    record = target / f'{copy.name}.json'
    with (target / f'.{copy.name}.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files = list(_files(root, chosen))
        size = sum(file[1] for file in files)
        state = dict(
            source=str(root.resolve()),
            files=len(files),
            bytes=size,
            sha256=hashlib.sha256(json.dumps(files).encode()).hexdigest(),
        )
        described = f'{len(files)} files, {size / 2**20:.1f} MiB'
        if copy.is_dir() and record.is_file() and json.loads(record.read_text()) == state:
            return copy, f'The data of {root} are read from the copy in {copy} ({described}).'
        free = shutil.disk_usage(target).free
        if size > free:
            raise UserError(
                f'{target} has {free / 2**30:.1f} GiB of room, and the data of {root} have {size / 2**30:.1f} GiB'
            )
        record.unlink(missing_ok=True)
        partial = target / f'.{copy.name}.partial'
        for old in (partial, copy):
            if old.exists():
                shutil.rmtree(old)
        _copy_files(root, partial, files, progress)
        os.replace(partial, copy)
        write_json(record, state)
        return copy, f'The data of {root} were copied to {copy} ({described}) and are read there.'


def _files(root: Path, parts: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Yield each file once: its path relative to the folder, its size in bytes and the second of its last change."""
    seen = set()
    for part in parts:
        start = root / part
        # Links to folders too: data sets are often put together from them.
        found = (Path(folder, name) for folder, _, names in os.walk(start, followlinks=True) for name in names)
        for path in sorted([start] if start.is_file() else found):
            name = path.relative_to(root).as_posix()
            if name not in seen:
                seen.add(name)
                stat = path.stat()
                yield name, stat.st_size, int(stat.st_mtime)


def _copy_files(root: Path, target: Path, files: Sequence[tuple[str, int, int]], progress: bool) -> None:
    bar = tqdm(
        total=sum(size for _, size, _ in files),
        unit='B',
        unit_scale=True,
        desc=f'copying {root}',
        disable=None if progress else True,
    )
    with bar:
        for name, size, _ in files:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, path)
            bar.update(size)


def _replace_root(cfg: Config, root: str, copy: str) -> None:
    """Let the data sets of a config, and its evaluators, read another folder."""
    for split in _SPLITS:
        for dataset in datasets_of(cfg, split):
            if dataset.get('data_root') == root:
                dataset.data_root = copy
                for name in ('ann_file', 'data_prefix'):
                    if name in dataset:
                        dataset[name] = _moved(dataset[name], root, copy)
        if cfg.get(f'{split}_evaluator') is not None:
            cfg[f'{split}_evaluator'] = _moved(cfg[f'{split}_evaluator'], root, copy)


def _moved(value: Any, root: str, copy: str) -> Any:
    """Return a part of a config in which the paths inside a folder are those of its copy."""
    if isinstance(value, dict):
        return type(value)({name: _moved(part, root, copy) for name, part in value.items()})
    if isinstance(value, list | tuple):
        return type(value)(_moved(part, root, copy) for part in value)
    inside = isinstance(value, str) and value.startswith(root.rstrip(os.sep) + os.sep)
    return os.path.join(copy, os.path.relpath(value, root)) if inside else value
