"""Values of a config that are out of their range, found before anything is built."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, NamedTuple

from mmengine.config import Config

from .errors import raise_problems


class _Rule(NamedTuple):
    """What a value may be.

    Attributes:
        allows: Whether a value is allowed.
        text: The same in words.
    """

    allows: Callable[[Any], bool]
    text: str


def _is_int(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _int_from(least: int, *also: int) -> _Rule:
    text = f'an integer of at least {least}' + ''.join(f', or {value}' for value in also)
    return _Rule(lambda value: _is_int(value) and (value >= least or value in also), text)


def _number(low: float | None = None, high: float | None = None, *, above: bool = False, below: bool = False) -> _Rule:
    """Make a rule for a finite number between two bounds; ``above`` and ``below`` leave the bounds out."""
    parts = []
    if low is not None:
        parts.append(f'above {low:g}' if above else f'of at least {low:g}')
    if high is not None:
        parts.append(f'below {high:g}' if below else f'at most {high:g}')

    def allows(value: Any) -> bool:
        if not _is_number(value):
            return False
        too_low = low is not None and (value <= low if above else value < low)
        too_high = high is not None and (value >= high if below else value > high)
        return not (too_low or too_high)

    return _Rule(allows, 'a number ' + ' and '.join(parts) if parts else 'a finite number')


def _or_none(rule: _Rule) -> _Rule:
    return _Rule(lambda value: value is None or rule.allows(value), f'{rule.text}, or None')


_FLAG = _Rule(lambda value: isinstance(value, bool), 'True or False')
_SHARE = _number(0, 1)
_POSITIVE = _number(0, above=True)
_BETAS = _Rule(
    lambda value: (
        isinstance(value, list | tuple) and len(value) == 2 and all(_number(0, 1, below=True).allows(b) for b in value)
    ),
    'two numbers of at least 0 and below 1',
)
_LEVELS = tuple(logging.getLevelNamesMapping())

_LOADER: dict[str, _Rule] = {
    'batch_size': _int_from(1),
    'num_workers': _int_from(0),
    'prefetch_factor': _or_none(_int_from(1)),
    'timeout': _number(0),
    'drop_last': _FLAG,
    'persistent_workers': _FLAG,
    'pin_memory': _FLAG,
    'num_batch_per_epoch': _or_none(_int_from(1)),
}
_OPTIMIZER: dict[str, _Rule] = {
    'lr': _number(0),
    'momentum': _number(0, 1, below=True),
    'weight_decay': _number(0),
    'dampening': _number(0),
    'eps': _number(0),
    'alpha': _number(0, 1),
    'betas': _BETAS,
    'nesterov': _FLAG,
}
_SCHEDULER: dict[str, _Rule] = {
    'begin': _int_from(0),
    'end': _int_from(1),
    'T_max': _or_none(_int_from(1)),
    'step_size': _int_from(1),
    'gamma': _POSITIVE,
    'start_factor': _number(0, 1, above=True),
    'end_factor': _SHARE,
    'factor': _POSITIVE,
    'eta_min': _or_none(_number(0)),
    'eta_min_ratio': _or_none(_SHARE),
    'power': _POSITIVE,
    'by_epoch': _FLAG,
    'convert_to_iter_based': _FLAG,
}
_RULES: dict[str, _Rule] = {
    'train_cfg.max_epochs': _int_from(1),
    'train_cfg.max_iters': _int_from(1),
    'train_cfg.val_interval': _int_from(1),
    'train_cfg.val_begin': _int_from(0),
    **{f'{split}_dataloader.{name}': rule for split in ('train', 'val', 'test') for name, rule in _LOADER.items()},
    **{f'optim_wrapper.optimizer.{name}': rule for name, rule in _OPTIMIZER.items()},
    'optim_wrapper.accumulative_counts': _int_from(1),
    'optim_wrapper.clip_grad.max_norm': _POSITIVE,
    'optim_wrapper.clip_grad.clip_value': _POSITIVE,
    'auto_scale_lr.base_batch_size': _int_from(1),
    'auto_scale_lr.enable': _FLAG,
    'default_hooks.checkpoint.interval': _int_from(1, -1),
    'default_hooks.checkpoint.max_keep_ckpts': _int_from(1, -1),
    'default_hooks.checkpoint.save_begin': _int_from(0),
    'default_hooks.checkpoint.by_epoch': _FLAG,
    'default_hooks.checkpoint.save_last': _FLAG,
    'default_hooks.logger.interval': _int_from(1),
    'default_hooks.visualization.interval': _int_from(1),
    'log_processor.window_size': _int_from(1),
    'log_processor.by_epoch': _FLAG,
    'randomness.seed': _or_none(_Rule(lambda v: _is_int(v) and 0 <= v < 2**32, 'an integer from 0 to 4294967295')),
    'randomness.deterministic': _FLAG,
    'model.test_cfg.score_thr': _SHARE,
    'model.test_cfg.max_per_img': _int_from(1, -1),
    'model.test_cfg.nms_pre': _int_from(1, -1),
    'model.test_cfg.nms.iou_threshold': _SHARE,
    'allow_partial_weights': _FLAG,
    'log_level': _Rule(lambda value: value in _LEVELS or _is_int(value), f'one of {", ".join(_LEVELS)}'),
}
# Sections that have to be dicts, and those that may be lists of dicts.
_DICTS = (
    *('model', 'train_cfg', 'val_cfg', 'test_cfg', 'train_dataloader', 'val_dataloader', 'test_dataloader'),
    *('optim_wrapper', 'auto_scale_lr', 'default_hooks', 'randomness', 'env_cfg'),
)
_LISTS_OF_DICTS = ('custom_hooks', 'param_scheduler', 'val_evaluator', 'test_evaluator')


def check_values(cfg: Config) -> None:
    """Check that the values of a config are of the right kind and in their range.

    Args:
        cfg: A config of any mm library.

    Raises:
        UserError: values are not; it has their places, what they are, and what they may be.
    """
    raise_problems(list(_kinds(cfg)) or [*_ranges(cfg), *_combinations(cfg)])


def _kinds(cfg: Config) -> Iterator[str]:
    """Yield sections that are no dicts, which every other check assumes."""
    if not cfg.get('model'):
        yield 'the config has no model'
    for name in _DICTS:
        value = cfg.get(name)
        if value is not None and not isinstance(value, dict):
            yield f'{name} must be a dict, got {value!r}'
    for name in _LISTS_OF_DICTS:
        value = cfg.get(name)
        parts = value if isinstance(value, list | tuple) else [value]
        if value is not None and not all(isinstance(part, dict) for part in parts):
            yield f'{name} must be a dict or a list of dicts, got {value!r}'
    for place in ('optim_wrapper.optimizer', 'model.backbone', 'model.test_cfg'):
        value = _get(cfg, place)
        if value is not None and not isinstance(value, dict):
            yield f'{place} must be a dict, got {value!r}'
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if isinstance(loader, dict):
            for name in ('dataset', 'sampler'):
                if not isinstance(loader.get(name), dict) and not (name == 'sampler' and loader.get('batch_sampler')):
                    yield f'{split}_dataloader.{name} must be a dict, got {loader.get(name)!r}'


def _get(cfg: Any, place: str) -> Any:
    """Return the value at a place of a config, or None."""
    for part in place.split('.'):
        if not isinstance(cfg, dict | Config) or part not in cfg:
            return None
        cfg = cfg[part]
    return cfg


def _ranges(cfg: Config) -> Iterator[str]:
    """Yield single values that are out of their range."""
    for place, rule in _RULES.items():
        section, _, name = place.rpartition('.')
        holder = _get(cfg, section) if section else cfg
        if isinstance(holder, dict | Config) and name in holder and not rule.allows(holder[name]):
            yield f'{place} must be {rule.text}, got {holder[name]!r}'
    for place, scheduler in _schedulers(cfg):
        for name, rule in _SCHEDULER.items():
            if name in scheduler and not rule.allows(scheduler[name]):
                yield f'{place}.{name} must be {rule.text}, got {scheduler[name]!r}'
    for place, count in _class_numbers(cfg.model, 'model'):
        if not _int_from(1).allows(count):
            yield f'{place} must be an integer of at least 1, got {count!r}'


def _class_numbers(part: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name == 'num_classes' and place.rpartition('.')[2].endswith('head'):
                yield f'{place}.{name}', value
            yield from _class_numbers(value, f'{place}.{name}')
    elif isinstance(part, list | tuple):
        for index, value in enumerate(part):
            yield from _class_numbers(value, f'{place}.{index}')


def _schedulers(cfg: Config) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the schedulers of a config with their places."""
    given = cfg.get('param_scheduler')
    if isinstance(given, dict):
        yield 'param_scheduler', given
    elif isinstance(given, list | tuple):
        for index, scheduler in enumerate(given):
            yield f'param_scheduler.{index}', scheduler


def _combinations(cfg: Config) -> Iterator[str]:
    """Yield values that do not go together."""
    for place, scheduler in _schedulers(cfg):
        begin, end = scheduler.get('begin', 0), scheduler.get('end')
        if _is_int(begin) and _is_int(end) and end <= begin:
            yield f'{place}.end must be larger than its begin, got begin {begin} and end {end}'
        if 'milestones' in scheduler:
            steps = scheduler['milestones']
            if not (isinstance(steps, list | tuple) and steps and all(map(_int_from(1).allows, steps))):
                yield f'{place}.milestones must be a list of integers of at least 1, got {steps!r}'
            elif any(first >= second for first, second in pairwise(steps)):
                yield f'{place}.milestones must rise, got {list(steps)}'
        if scheduler.get('convert_to_iter_based') and not scheduler.get('by_epoch', True):
            yield f'{place}.convert_to_iter_based needs by_epoch=True'
    optimizer = _get(cfg, 'optim_wrapper.optimizer') or {}
    paramwise = _get(cfg, 'optim_wrapper.paramwise_cfg') or {}
    if isinstance(paramwise, dict) and optimizer and optimizer.get('weight_decay') is None:
        factors = [name for name in paramwise if name.endswith('decay_mult')]
        keys = paramwise.get('custom_keys') or {}
        factors += [f'custom_keys.{key}.decay_mult' for key in keys if 'decay_mult' in (keys[key] or {})]
        if factors:
            yield (
                f'optim_wrapper.paramwise_cfg.{factors[0]} multiplies optim_wrapper.optimizer.weight_decay, which is '
                'not set; set it (0 for none)'
            )
    for name, needs in (('train', 'optim_wrapper'), ('val', 'val_evaluator'), ('test', 'test_evaluator')):
        group = (f'{name}_dataloader', f'{name}_cfg', needs)
        missing = [part for part in group if cfg.get(part) is None]
        if missing and len(missing) < len(group):
            yield f'{", ".join(group)} belong together, and {" and ".join(missing)} is not set'


def switch_off_workers(cfg: Config) -> None:
    """Let a data loader without workers do without what only workers have.

    PyTorch refuses ``persistent_workers`` and ``prefetch_factor`` with ``num_workers=0``, which is what one sets to
    find an error.
    """
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if isinstance(loader, dict) and loader.get('num_workers') == 0:
            loader.pop('persistent_workers', None)
            loader.pop('prefetch_factor', None)
