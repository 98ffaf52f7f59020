"""The catalog of published weights: what the metafiles of the configs say about them."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import yaml

from ..data.report import shorten
from ..data.spec import TASKS, resolve_config
from ..utils.config import load_config
from ..utils.errors import UserError
from .metafiles import read_metafiles

SCHEME = 'lcnet://'
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class PublishedWeights:
    """One entry of the catalog.

    Attributes:
        name: By which it is called, ``picodet_s_320_coco``.
        task: As the metafile names it, 'Object Detection'.
        config: The config whose model the weights fill.
        address: Where the file was published.
        license: As the page of the file states it.
        sha256: Sum of the file where it was published with one.
        results: The published results, each with its data set, metrics and source.
    """

    name: str
    task: str
    config: str
    address: str
    license: str
    sha256: str | None = None
    results: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    @property
    def file_name(self) -> str:
        """Name of the published file."""
        return PurePosixPath(urlsplit(self.address).path).name

    @property
    def kind(self) -> str:
        """Kind of the published file by its suffix, 'pdparams'."""
        return PurePosixPath(self.file_name).suffix.removeprefix('.')

    @property
    def metrics(self) -> str:
        """The published results in one line."""
        parts = [
            f'{metric} {value} ({result["Source"]})'
            for result in self.results
            for metric, value in (result.get('Metrics') or {}).items()
        ]
        return ', '.join(parts) or 'none published'

    def describe(self) -> str:
        """Return all that is known, with the input and the classes from the config, as text."""
        cfg = load_config(config_path(self.config))
        lines = [self.name, f'  task: {self.task}', f'  config: {self.config}']
        if cfg.get('default_scope') in TASKS:
            spec = resolve_config(cfg)
            if spec.input_size:
                lines.append(f'  input: {spec.input_size[0]}x{spec.input_size[1]} (width x height), {spec.color}')
            lines.append(f'  {len(spec.classes)} classes: {shorten(list(spec.classes))}')
        lines += [
            f'  address: {self.address} ({self.kind})',
            f'  license: {self.license}',
            f'  results: {self.metrics}',
        ]
        return '\n'.join(lines)


def _root() -> Path:
    """Return the folder of ``model-index.yml``: in an installed package, or in a clone of the repository."""
    installed = _PACKAGE / '.mim'
    return installed if (installed / 'model-index.yml').is_file() else _PACKAGE.parent


def config_path(config: str) -> Path:
    """Return the file of a config of the catalog."""
    return _root() / config


@lru_cache(maxsize=1)
def read_catalog() -> dict[str, PublishedWeights]:
    """Return all published weights by their names, in the order of the metafiles."""
    root = _root()
    if not (root / 'model-index.yml').is_file():
        raise UserError(f'the catalog of weights is missing: {root / "model-index.yml"}; install lcnet-mm again')
    try:
        models = [model for models in read_metafiles(root).values() for model in models]
        return {entry.name: entry for entry in map(_entry, models) if entry}
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f'the catalog of weights in {root} is damaged: {error}; install lcnet-mm again') from error


def _entry(model: dict[str, Any]) -> PublishedWeights | None:
    if not model.get('Weights'):
        return None
    meta, results = model['Metadata'], tuple(model.get('Results') or ())
    return PublishedWeights(
        name=model['Name'],
        task=results[0]['Task'] if results else '',
        config=meta.get('Weights Config', model['Config']),
        address=model['Weights'],
        license=meta['License'],
        sha256=meta.get('Weights SHA256'),
        results=results,
    )


def find_weights(name: str) -> PublishedWeights:
    """Return the entry of a name.

    Args:
        name: The name, also with ``lcnet://`` before it.

    Raises:
        UserError: the catalog has no such name; the message has similar ones.
    """
    name = name.removeprefix(SCHEME)
    catalog = read_catalog()
    if name not in catalog:
        similar = difflib.get_close_matches(name, catalog, 3, 0.5)
        hint = f'; similar names: {", ".join(similar)}' if similar else ''
        raise UserError(f'the catalog has no weights {name!r}{hint}; lcnet weights list shows all names')
    return catalog[name]


def format_catalog() -> str:
    """Return the catalog as a table of text."""
    entries = read_catalog().values()
    width = max((len(entry.name) for entry in entries), default=0)
    task_width = max((len(entry.task) for entry in entries), default=0)
    return '\n'.join(f'{entry.name:<{width}}  {entry.task:<{task_width}}  {entry.metrics}' for entry in entries)


def home() -> Path:
    """Return the folder of the cache: ``LCNET_MM_HOME``, or ``lcnet_mm`` in the user's folder of caches."""
    given = os.environ.get('LCNET_MM_HOME')
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'lcnet_mm'
