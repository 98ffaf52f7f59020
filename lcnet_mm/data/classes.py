"""The classes that a config's data sets and heads have."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS

from ..utils.errors import UserError


def dataset_classes(cfg: Config, dataset: ConfigDict) -> tuple[str, ...] | None:
    """The class names that a data set will have, or None if it does not tell."""
    given = (dataset.get('metainfo') or {}).get('classes')
    if given is not None:
        if isinstance(given, str):
            raise UserError(f'metainfo.classes must be a list or tuple of names, got the string {given!r}; add a comma')
        return tuple(given)
    classes = getattr(dataset_class(cfg, dataset), 'METAINFO', {}).get('classes')
    return tuple(classes) if classes else None


def dataset_class(cfg: Config, dataset: ConfigDict) -> type | None:
    """The class that a data set's config names, or None if it is unknown."""
    with DATASETS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
        return registry.get(dataset.type)


def dataset_palette(cfg: Config) -> list[list[int]] | None:
    """RGB colours of the classes of the config's test data, or None if it does not tell."""
    dataset = cfg.get('test_dataloader', {}).get('dataset')
    if not dataset:
        return None
    given = (dataset.get('metainfo') or {}).get('palette')
    return given or getattr(dataset_class(cfg, dataset), 'METAINFO', {}).get('palette')


def head_class_numbers(model: ConfigDict, prefix: str = '') -> Iterator[tuple[str, int]]:
    """Yield the place and the value of each ``num_classes`` of the heads in a model's config."""
    for name, part in model.items():
        if isinstance(part, dict) and name.endswith('head') and name != 'rpn_head':
            if 'num_classes' in part:
                yield f'{prefix}{name}', part['num_classes']
            yield from head_class_numbers(part, f'{prefix}{name}.')


def shorten(names: list[str], count: int = 10) -> str:
    """Name the first few of a list."""
    return ', '.join(map(repr, names[:count])) + (f' … ({len(names)} in all)' if len(names) > count else '')
