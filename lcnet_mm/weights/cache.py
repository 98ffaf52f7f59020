"""Published weights by name: downloaded, converted and kept.

The cache has ``downloads`` (published files; a file that was put there by hand counts), ``checkpoints`` (``NAME.pth``
with the record ``NAME.json``) and ``locks``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..utils.errors import UserError
from ..utils.files import sha256, write_json
from .catalog import SCHEME, PublishedWeights, config_path, find_weights, home
from .convert import convert_weights
from .download import DownloadError, download

# A folder of published files, or the address of a mirror that has them under their names.
VARIABLE = 'LCNET_MM_WEIGHTS'


def get_weights(name: str, progress: bool = True) -> Path:
    """Return the checkpoint of published weights; the first time it is downloaded and converted.

    Several processes may ask for the same name at the same time: one works, the others wait.

    Args:
        name: Name in the catalog, also with ``lcnet://`` before it.
        progress: Whether to show the progress of a download.

    Returns:
        A checkpoint in the cache, with class names and the sum of the published file in its ``meta``.

    Raises:
        UserError: the name is unknown, the file cannot be had, is another one than the recorded one, or does not fit
            its config, or the cache cannot be written.
    """
    entry = find_weights(name)
    folder = home()
    target = folder / 'checkpoints' / f'{entry.name}.pth'
    record_file = target.with_suffix('.json')
    try:
        for part in ('checkpoints', 'downloads', 'locks'):
            (folder / part).mkdir(parents=True, exist_ok=True)
        with FileLock(folder / 'locks' / f'{entry.name}.lock'):
            record = _read_record(record_file)
            if record and target.is_file() and target.stat().st_size == record.get('size'):
                return target
            source, origin = _find_source(entry, folder / 'downloads', progress)
            total = sha256(source)
            _check_sum(entry, record, record_file, source, total)
            try:
                convert_weights(source, target, config_path(entry.config))
            except UserError as error:
                if source.parent == folder / 'downloads':
                    # A damaged download must not be found again.
                    source.unlink(missing_ok=True)
                raise UserError(f'weights {entry.name} from {origin} cannot be used: {error}') from error
            # The record is last: without it the checkpoint does not count.
            write_json(
                record_file,
                dict(name=entry.name, address=entry.address, source_sha256=total, size=target.stat().st_size),
            )
    except OSError as error:
        raise UserError(
            f'the cache {folder} cannot be written: {error}; set LCNET_MM_HOME to another folder'
        ) from error
    return target


def local_checkpoint(checkpoint: str | Path, progress: bool = True) -> str:
    """Return the file of a checkpoint, which may be the name of published weights, ``lcnet://NAME``.

    Raises:
        UserError: as :func:`get_weights`.
    """
    text = str(checkpoint)
    return str(get_weights(text, progress)) if text.startswith(SCHEME) else text


def _find_source(entry: PublishedWeights, downloads: Path, progress: bool) -> tuple[Path, str]:
    """Return the published file, and where it came from for messages."""
    given = os.environ.get(VARIABLE, '')
    is_mirror = given.startswith(('http://', 'https://'))
    folders = [downloads] if is_mirror or not given else [Path(given).expanduser(), downloads]
    for folder in folders:
        names = {entry.file_name, f'{entry.name}.{entry.kind}', f'{entry.name}.onnx', f'{entry.name}.safetensors'}
        found = sorted(folder / name for name in names if (folder / name).is_file())
        if len(found) > 1:
            raise UserError(f'{folder} has {found[0].name} and {found[1].name} for {entry.name}; keep one of them')
        if found:
            return found[0], str(found[0])
    address = f'{given.rstrip("/")}/{entry.file_name}' if is_mirror else entry.address
    target = downloads / entry.file_name
    try:
        download(address, target, progress)
    except DownloadError as error:
        raise UserError(
            f'weights {entry.name} are not in the cache, and {error}. Without a connection, get {entry.address} on '
            f'another machine and put it into {downloads}, or set {VARIABLE} to its folder'
        ) from error
    return target, address


def _read_record(file: Path) -> dict[str, Any]:
    """Return what is recorded about the weights; empty if nothing is, or the record is damaged."""
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _check_sum(entry: PublishedWeights, record: dict[str, Any], record_file: Path, source: Path, total: str) -> None:
    """Check that a file is the one that was published, or the one that was there before.

    Raises:
        UserError: it has another sum.
    """
    if entry.sha256 and total != entry.sha256:
        _drop_download(source)
        raise UserError(
            f'{source} is not the published file of {entry.name}: its SHA-256 is {total}, expected {entry.sha256}; '
            'get it again'
        )
    known = record.get('source_sha256')
    if known and total != known:
        _drop_download(source)
        raise UserError(
            f'{source} is refused: its SHA-256 is {total}, but {entry.name} had {known} before. If the new file is to '
            f'be trusted, remove {record_file}'
        )


def _drop_download(source: Path) -> None:
    """Remove a wrong file from the cache; one in the user's own folder stays."""
    if source.parent == home() / 'downloads':
        source.unlink(missing_ok=True)
