"""Names in a config that nothing reads, found before anything is built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    EVALUATOR,
    FUNCTIONS,
    HOOKS,
    LOG_PROCESSORS,
    LOOPS,
    METRICS,
    MODEL_WRAPPERS,
    MODELS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TASK_UTILS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
    WEIGHT_INITIALIZERS,
    Registry,
)

from .arguments import (
    BUILD_KEYS,
    FREE_DICTS,
    HANDLED_DICTS,
    PLAIN_DICTS,
    PLAIN_MODEL_DICTS,
    Arguments,
    arguments_of,
    dataloader_arguments,
    nearest,
    runner_fields,
    slip_of,
)
from .config_variables import join_places, leaves, places_of
from .errors import UserError, raise_problems

_MODEL = (MODELS, TASK_UTILS, WEIGHT_INITIALIZERS)
_DATA = (DATASETS, TRANSFORMS, DATA_SAMPLERS, TASK_UTILS, MODELS)
# Where the types of a section are looked up, first to last.
_REGISTRIES: dict[str, tuple[Registry, ...]] = {
    'model': _MODEL,
    'data_preprocessor': _MODEL,
    'tta_model': _MODEL,
    **{f'{split}_dataloader': _DATA for split in ('train', 'val', 'test')},
    'tta_pipeline': _DATA,
    **{f'{split}_cfg': (LOOPS,) for split in ('train', 'val', 'test')},
    **{f'{split}_evaluator': (METRICS, EVALUATOR) for split in ('val', 'test')},
    'optim_wrapper': (OPTIM_WRAPPERS, OPTIMIZERS),
    'param_scheduler': (PARAM_SCHEDULERS,),
    'default_hooks': (HOOKS,),
    'custom_hooks': (HOOKS, TRANSFORMS, MODELS),
    'visualizer': (VISUALIZERS, VISBACKENDS),
    'log_processor': (LOG_PROCESSORS,),
    'model_wrapper_cfg': (MODEL_WRAPPERS,),
}
# What the builders of a registry take out of a dict themselves.
_TAKEN: tuple[tuple[Registry, frozenset[str]], ...] = (
    (HOOKS, frozenset({'priority'})),
    (PARAM_SCHEDULERS, frozenset({'convert_to_iter_based'})),
    (OPTIM_WRAPPERS, frozenset({'optimizer', 'constructor', 'paramwise_cfg'})),
    (WEIGHT_INITIALIZERS, frozenset({'override', 'name'})),
    # The range over which RandAugment draws a transform's strength.
    (TRANSFORMS, frozenset({'magnitude_key', 'magnitude_range', 'magnitude_level', 'total_level'})),
    # mmcv's builders of layers; mmpretrain's and mmdet's builders of models.
    (MODELS, frozenset({'requires_grad', 'layer_name', 'data_preprocessor', 'train_cfg', 'test_cfg', 'mode'})),
)
_LOOPS = {'val_cfg': 'ValLoop', 'test_cfg': 'TestLoop'}
# What the runner hands to the loops and builders itself.
_GIVEN = frozenset({'runner', 'dataloader', 'evaluator', 'optimizer', 'epoch_length'})


class _Problem(NamedTuple):
    path: str
    name: str
    owner: str
    meant: str | None
    known: frozenset[str]

    def __str__(self) -> str:
        place = f'{self.path}.{self.name}' if self.path else self.name
        if self.meant:
            hint = f'did you mean {self.meant}?'
        else:
            shown = sorted(self.known - BUILD_KEYS - _GIVEN)
            hint = f'it takes {", ".join(shown[:12])}{" …" if len(shown) > 12 else ""}' if shown else 'remove it'
        if self.name == 'type':
            hint = hint if self.meant else 'name a class that is'
            return f'{place} is {self.owner}; {hint}'
        return f'{place} is unknown to {self.owner}; {hint}'


def check_names(cfg: Config) -> None:
    """Check that something reads every name of a config.

    A name below a ``type`` is compared with the arguments of the class that it is built from, other names with what
    mmengine's runner and the mm libraries read. A name at the top that nothing reads may be a variable of the config;
    only a slip in the name of something that is read is an error there.

    Args:
        cfg: A config of any mm library.

    Raises:
        UserError: names are unknown; it has their places and the names that are most like them.
    """
    raise_problems(list(_unknown_names(cfg)))


def check_options(cfg: Config, options: dict[str, Any], before: Config) -> None:
    """Check that something reads what overrides have set.

    Args:
        cfg: The config with the overrides.
        options: The overrides, ``{'model.backbone.widen_factor': 0.5}``.
        before: The config without them.

    Raises:
        UserError: an override sets what nothing reads.
    """
    # A config of something else than a training, such as an export.
    if 'model' not in before:
        return
    fields = runner_fields()
    for option in options:
        first = option.split('.')[0]
        if first not in fields:
            raise UserError(_useless_option(option, before, fields))
    given = [option.split('.') for option in options]
    problems = list(_unknown_names(cfg, every_name=before))
    raise_problems([problem for problem in problems if _is_set(problem, given)])


def _useless_option(option: str, before: Config, fields: frozenset[str]) -> str:
    """Say why an override whose first name nothing reads changes nothing, and what to set instead."""
    first, _, rest = option.partition('.')
    last = option.rpartition('.')[2]
    places = places_of(before, first, before.get(first), fields) if not rest else []
    instead = f'; set {join_places(places)} instead' if places else ''
    if first in before:
        return f'{option} sets a variable that the config file has used already, so it changes nothing{instead}'
    if not instead:
        meant = nearest(first, fields)
        same = [place for place, _ in leaves(before._cfg_dict) if place.rpartition('.')[2] == last]
        same = [place for place in same if place.split('.')[0] in fields]
        if meant:
            instead = f'; did you mean {meant}{f".{rest}" if rest else ""}?'
        elif same:
            instead = f'; did you mean {join_places(same)}?'
    return f'{option} is unknown, nothing reads it{instead}'


def _is_set(problem: _Problem, given: list[list[str]]) -> bool:
    """Whether an override has set a name, or a part of the config that contains it."""
    place = [*problem.path.split('.'), problem.name] if problem.path else [problem.name]
    return any(place[: len(option)] == option or option[: len(place)] == place for option in given)


def _unknown_names(cfg: Config, every_name: Config | None = None) -> Iterator[_Problem]:
    """Yield what nothing reads.

    Args:
        cfg: The config.
        every_name: Where a dict may have any name, also report names that are neither known nor in this config.
    """
    fields = runner_fields()
    before = every_name._cfg_dict if every_name is not None else None
    constructor = (cfg.get('optim_wrapper') or {}).get('constructor')
    walk = _Walk(cfg.get('default_scope'), before, constructor in (None, 'DefaultOptimWrapperConstructor'))
    for name, value in cfg._cfg_dict.items():
        if name in fields:
            if name in _REGISTRIES or name in PLAIN_DICTS:
                yield from walk.visit(value, name, _REGISTRIES.get(name, ()))
        elif meant := slip_of(name, fields):
            yield _Problem('', name, "mmengine's runner", meant, fields)


def _arguments_in(registry: Registry, name: str) -> Arguments:
    """Return the arguments of one of mmengine's own classes."""
    found: Any = registry.get(name)
    return arguments_of(found) if callable(found) else Arguments(frozenset(), False)


class _Walk:
    """A walk through the sections of a config in the scope of its library.

    Args:
        scope: The config's default scope.
        before: The config before its overrides, or None.
        plain_optimizer: Whether mmengine's own constructor of optimizers reads ``paramwise_cfg``.
    """

    def __init__(self, scope: str | None, before: Any, plain_optimizer: bool) -> None:
        self.scope = scope
        self.before = before
        self.plain_optimizer = plain_optimizer

    def visit(self, value: Any, path: str, registries: tuple[Registry, ...], scope: str | None = None) -> Any:
        """Yield the problems of a value and of its parts."""
        if isinstance(value, list | tuple):
            for index, part in enumerate(value):
                yield from self.visit(part, f'{path}.{index}', registries, scope)
        if not isinstance(value, dict):
            return
        scope = value.get('_scope_') or scope
        if (problem := self._unknown_type(value, path, registries, scope)) is not None:
            yield problem
        owner, known = self._known(value, path, registries, scope)
        if known is not None:
            for name in value:
                if (problem := self._problem(str(name), path, owner, known)) is not None:
                    yield problem
        for name, part in value.items():
            if name not in ('metainfo', 'meta_keys'):
                inner = (WEIGHT_INITIALIZERS,) if name == 'init_cfg' else registries
                inner = (FUNCTIONS,) if name in ('collate_fn', 'worker_init_fn') else inner
                yield from self.visit(part, f'{path}.{name}', inner, scope)

    def _problem(self, name: str, path: str, owner: str, known: Arguments) -> _Problem | None:
        if name in known.names or name in BUILD_KEYS:
            return None
        if not known.closed:
            meant = slip_of(name, known.names)
            if meant is None and (self.before is None or known.names == frozenset() or self._was_there(path, name)):
                return None
            if meant is None and owner.endswith('()') and not known.ignored:
                # What the class hands its unknown names on to may know them.
                return None
            return _Problem(path, name, owner.removesuffix('()'), meant or nearest(name, known.names), known.names)
        return _Problem(path, name, owner, nearest(name, known.names - _GIVEN), known.names)

    def _was_there(self, path: str, name: str) -> bool:
        """Whether the config had a name before its overrides."""
        value = self.before
        for part in [*path.split('.'), name]:
            if isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            elif isinstance(value, dict) and part in value:
                value = value[part]
            else:
                return False
        return True

    def _known(
        self, value: dict[str, Any], path: str, registries: tuple[Registry, ...], scope: str | None
    ) -> tuple[str, Arguments | None]:
        """Return who reads a dict and the names that it may have; None where that is not known."""
        parts = path.split('.')
        if len(parts) == 1 and path.endswith('_dataloader'):
            return path, dataloader_arguments()
        star = '.'.join([*parts[:-1], '*'])
        if path == 'optim_wrapper.paramwise_cfg' and not self.plain_optimizer:
            return path, None
        for place in (path, star):
            if place in PLAIN_DICTS:
                return path, PLAIN_DICTS[place]
        if parts[-1] in FREE_DICTS or parts[-1] in HANDLED_DICTS:
            return path, None
        if 'type' not in value:
            return path, self._known_without_type(value, path, parts)
        kind = value['type']
        if not isinstance(kind, str):
            return getattr(kind, '__name__', str(kind)), arguments_of(kind) if callable(kind) else None
        if parts[-1] == 'nms' and kind.islower():
            return path, PLAIN_MODEL_DICTS['nms']
        for registry in registries:
            found = self._get(registry, kind, scope)
            if found is not None:
                known = arguments_of(found)
                taken = next((names for other, names in _TAKEN if other is registry), frozenset())
                name = getattr(found, '__name__', kind)
                # Heads read some names of their losses themselves.
                closed = known.closed and not parts[-1].startswith('loss')
                return name if closed else f'{name}()', Arguments(known.names | taken, closed, known.ignored)
        return kind, None

    def _unknown_type(
        self, value: dict[str, Any], path: str, registries: tuple[Registry, ...], scope: str | None
    ) -> _Problem | None:
        """Return a problem if a type is not registered, but is a slip of one that is, or is needed at its place."""
        kind = value.get('type')
        last = path.rpartition('.')[2]
        if not isinstance(kind, str) or last in (*FREE_DICTS, *HANDLED_DICTS, 'nms') or not registries:
            return None
        if any(self._get(registry, kind, scope) is not None for registry in registries):
            return None
        names = frozenset().union(*(self._registered(registry, scope) for registry in registries))
        # mmengine's own message for an optimizer that it does not know is "None is not a callable object".
        meant = nearest(kind, names) if path == 'optim_wrapper.optimizer' else slip_of(kind, names)
        if meant is None and path != 'optim_wrapper.optimizer':
            return None
        return _Problem(path, 'type', f'{kind}, which is not registered', meant, frozenset())

    def _registered(self, registry: Registry, scope: str | None) -> frozenset[str]:
        """Return the names of what a registry of a scope, and those above it, can build."""
        names: set[str] = set()
        try:
            with registry.switch_scope_and_registry(scope or self.scope) as scoped:
                while scoped is not None:
                    names.update(scoped.module_dict)
                    scoped = scoped.parent
        except Exception:
            return frozenset()
        return frozenset(names)

    def _known_without_type(self, value: dict[str, Any], path: str, parts: list[str]) -> Arguments | None:
        """Return the names of a dict whose type follows from its place."""
        if path == 'train_cfg':
            loop = 'EpochBasedTrainLoop' if value.get('by_epoch', 'max_iters' not in value) else 'IterBasedTrainLoop'
            known = _arguments_in(LOOPS, loop)
            return Arguments(known.names | {'by_epoch'}, True)
        if path in _LOOPS:
            return _arguments_in(LOOPS, _LOOPS[path])
        if path == 'log_processor':
            return _arguments_in(LOG_PROCESSORS, 'LogProcessor')
        if path == 'optim_wrapper' and 'optimizer' in value:
            known = _arguments_in(OPTIM_WRAPPERS, 'OptimWrapper')
            return Arguments(known.names | {'constructor', 'paramwise_cfg'}, True)
        if parts[0] == 'model' and parts[-1] in ('train_cfg', 'test_cfg'):
            return PLAIN_MODEL_DICTS[parts[-1]]
        return None

    def _get(self, registry: Registry, kind: str, scope: str | None) -> Any:
        """Look a type up as mmengine would while it builds."""
        if registry is FUNCTIONS:
            # The mm libraries have no functions of their own, of which mmengine would warn.
            return registry.get(kind)
        try:
            with registry.switch_scope_and_registry(scope or self.scope) as scoped:
                return scoped.get(kind)
        except Exception:
            # A library that is not installed, or a broken registration: building says so better.
            return None
