"""Which config a work dir was trained with, so that a run of another config is not taken for the one asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..utils.files import write_json

# In the work dir: the whole config, with its base files and overrides, as it was when the training started.
RECORD_FILE = 'config.json'


def record_config(folder: Path, cfg: Config) -> None:
    """Write down with which config a training in a folder starts; the folder is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD_FILE, _resolve(cfg))


def find_change(folder: Path, cfg: Config) -> str | None:
    """Say how a config differs from the one that the training in a folder started with.

    Args:
        folder: The folder of the training.
        cfg: The config. Files that it names, such as data and checkpoints, are not compared.

    Returns:
        The first difference and the number of others, or that the folder has no record; None if nothing differs.
    """
    file = folder / RECORD_FILE
    if not file.is_file():
        return f'it has no {RECORD_FILE} that says with which config it was made'
    before, now = dict(_flatten(json.loads(file.read_text()))), dict(_flatten(_resolve(cfg)))
    changed = [key for key in {**before, **now} if before.get(key, ...) != now.get(key, ...)]
    if not changed:
        return None
    key, more = changed[0], len(changed) - 1
    old, new = (repr(values[key]) if key in values else 'nothing' for values in (before, now))
    return f'in its config, {key} changed from {old} to {new}' + (f' ({more} more changed)' if more else '')


def _resolve(cfg: Config) -> Any:
    """Return everything in a config, as it is read back from JSON."""
    return json.loads(json.dumps(cfg.to_dict(), default=str))


def _flatten(value: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the settings of nested dicts and lists with their dotted keys; empty ones count as settings."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in items:
            yield from _flatten(part, f'{key}.{name}' if key else str(name))
    else:
        yield key, value
