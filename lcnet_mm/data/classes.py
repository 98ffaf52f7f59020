"""The classes that a config's data sets and heads have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS

from ..utils.errors import UserError

# Parts of a model that are models with heads of their own: of a distillation, and of what wraps a detector.
_INNER_MODELS = ('student', 'teacher', 'detector')


def innermost_datasets(dataset: ConfigDict) -> Iterator[ConfigDict]:
    """Yield the data sets inside wrappers such as RepeatDataset and ConcatDataset, or the data set itself."""
    if 'datasets' in dataset:
        for part in dataset.datasets:
            yield from innermost_datasets(part)
    elif 'dataset' in dataset:
        yield from innermost_datasets(dataset.dataset)
    else:
        yield dataset


def dataset_classes(cfg: Config, dataset: ConfigDict) -> tuple[str, ...] | None:
    """Return the class names that a data set will have, or None if it does not tell."""
    given = (dataset.get('metainfo') or {}).get('classes')
    if given is not None:
        if isinstance(given, str):
            raise UserError(f'metainfo.classes must be a list or tuple of names, got the string {given!r}; add a comma')
        return tuple(given)
    classes = getattr(dataset_class(cfg, dataset), 'METAINFO', {}).get('classes')
    return tuple(classes) if classes else None


def dataset_class(cfg: Config, dataset: ConfigDict) -> type | None:
    """Return the class that a data set's config names, or None if it is unknown."""
    with DATASETS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
        return cast('type | None', registry.get(dataset.type))


def dataset_palette(cfg: Config, dataset: ConfigDict) -> list[list[int]] | None:
    """Return the RGB colors of a data set's classes, or None if it does not tell."""
    given = (dataset.get('metainfo') or {}).get('palette')
    return given or getattr(dataset_class(cfg, dataset), 'METAINFO', {}).get('palette')


def class_count(cfg: Config) -> int | None:
    """Return the number of classes of a config's model, that of its first head; None if no head says it."""
    return next((number for _, number in head_class_numbers(cfg.get('model') or {})), None)


def head_class_numbers(model: dict[str, Any], prefix: str = '') -> Iterator[tuple[str, int]]:
    """Yield the place and the value of each ``num_classes`` of the heads in a model's config.

    The models inside a distillation count too; a ``num_classes`` of their own is that of a classifier of timm.
    """
    for name, part in model.items():
        if not isinstance(part, dict):
            continue
        is_inner = name in _INNER_MODELS
        if is_inner or (name.endswith('head') and name != 'rpn_head'):
            if 'num_classes' in part:
                yield f'{prefix}{name}', part['num_classes']
            yield from head_class_numbers(part, f'{prefix}{name}.')
