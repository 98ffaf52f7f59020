"""Downloads that resume and appear under their names only when they are complete.

The standard library's client is enough here. ``torch.hub`` does not resume; ``huggingface_hub`` does, but only from its
own servers.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..utils.errors import UserError
from ..utils.files import write_json
from ..version import __version__

_CHUNK = 1 << 16
_ATTEMPTS = 3
# Seconds without a byte, and before another attempt.
TIMEOUT = 30.0
PAUSE = 1.0


class DownloadError(Exception):
    """A download that did not end; a later one goes on from its bytes."""


class _CutOff(Exception):
    """The connection ended before the last byte."""


def download(address: str, target: Path, progress: bool = True) -> None:
    """Download a file; what an earlier, interrupted download has left is not loaded again if the file is the same.

    Args:
        address: ``http://`` or ``https://``; redirects are followed.
        target: Where the complete file appears.
        progress: Whether to show a progress bar.

    Raises:
        DownloadError: the server cannot be reached, does not have the file, or stops sending it.
        UserError: the folder cannot be written, or the disk is full.
    """
    if not address.startswith(('http://', 'https://')):
        raise UserError(f'address {address} must begin with https:// or http://')
    partial = target.with_name(f'{target.name}.partial')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            try:
                _transfer(address, partial, progress)
                break
            except _CutOff as error:
                if attempt == _ATTEMPTS - 1:
                    raise DownloadError(f'{error}; start again to go on from there') from error
                time.sleep(PAUSE)
        os.replace(partial, target)
        _validator_file(partial).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f'the cache {target.parent} cannot be written: {error}') from error


def _validator_file(partial: Path) -> Path:
    """Return the file that remembers of which version of the address a partial file is."""
    return partial.with_name(f'{partial.name}.json')


def _transfer(address: str, partial: Path, progress: bool) -> None:
    """Append what is missing to the partial file.

    Raises:
        DownloadError: the server does not have the file, or cannot be reached.
        _CutOff: some of the file is missing.
    """
    start = partial.stat().st_size if partial.exists() else 0
    validator = _read_validator(partial, address) if start else None
    headers = {'User-Agent': f'lcnet-mm/{__version__}', 'Accept-Encoding': 'identity'}
    if start and validator:
        headers |= {'Range': f'bytes={start}-', 'If-Range': validator}
    else:
        start = 0
    try:
        response = urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            # The partial file is longer than the file: it is another one.
            partial.unlink(missing_ok=True)
            raise _CutOff(f'{address} has changed') from error
        raise DownloadError(f'{address} answers {error.code} {error.reason}') from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DownloadError(f'{address} cannot be reached: {str(reason) or type(reason).__name__}') from error
    with response:
        if response.status != 206:
            start = 0
        length = response.headers.get('Content-Length')
        total = start + int(length) if length and length.isdigit() else None
        if total is not None and shutil.disk_usage(partial.parent).free < total - start:
            raise UserError(f'the disk of the cache {partial.parent} is full: {address} needs {total - start:,} bytes')
        write_json(
            _validator_file(partial),
            dict(address=address, validator=response.headers.get('ETag') or response.headers.get('Last-Modified')),
        )
        _copy(response, partial, start, total, progress, address)


def _copy(response: Any, partial: Path, start: int, total: int | None, progress: bool, address: str) -> None:
    """Write the body of a response after the first ``start`` bytes of the partial file."""
    done = start
    with (
        partial.open('r+b' if start else 'wb') as file,
        tqdm(total=total, initial=start, unit='B', unit_scale=True, desc=partial.stem, disable=not progress) as bar,
    ):
        file.seek(start)
        file.truncate()
        try:
            # What has come is kept, also where the rest of a chunk never does.
            while chunk := response.read1(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                bar.update(len(chunk))
        except (TimeoutError, http.client.HTTPException, ConnectionError) as error:
            what = f'sent nothing for {TIMEOUT:g} seconds' if isinstance(error, TimeoutError) else 'was cut off'
            expected = '?' if total is None else f'{total:,}'
            raise _CutOff(f'{address} {what} after {done:,} of {expected} bytes') from error
    if total is not None and done < total:
        raise _CutOff(f'{address} was cut off after {done:,} of {total:,} bytes')


def _read_validator(partial: Path, address: str) -> str | None:
    """Return by what the server can tell that the file is still the same, or None."""
    try:
        content = json.loads(_validator_file(partial).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    validator = content.get('validator') if content.get('address') == address else None
    # A weak one does not promise the same bytes.
    return validator if isinstance(validator, str) and not validator.startswith('W/') else None
