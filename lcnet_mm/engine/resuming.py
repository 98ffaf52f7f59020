"""Resuming a training whose config has changed since: the config's schedule counts, not the checkpoint's."""

from __future__ import annotations

import warnings
from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..utils.errors import UserError

# What changes in a scheduler from step to step; all else are its settings.
_PROGRESS = ('_global_step', 'last_step', '_last_value', 'verbose')
# Settings of an optimizer's groups that are not applied: weights, and how the optimizer computes.
_NOT_SETTINGS = ('params', 'foreach', 'fused', 'capturable', 'differentiable', 'maximize', 'param_names')


@HOOKS.register_module()
class ScheduleOnResumeHook(Hook):
    """Apply the config's schedule and the optimizer's settings when a training is resumed with other ones.

    mmengine loads the state of the schedulers together with their settings, so that a longer schedule, or another rate,
    is ignored without a word. If the settings differ, this hook builds the schedulers anew and advances them by the
    steps that the checkpoint has behind it: from there on, the rates are those of a training that had the new schedule
    from the beginning. The log says what changed.
    """

    def before_run(self, runner: Runner) -> None:
        """Keep the settings of the config, which the checkpoint is about to replace."""
        self._schedulers = [_settings(scheduler.state_dict()) for scheduler in _schedulers(runner)]
        self._groups = [] if isinstance(runner.optim_wrapper, OptimWrapperDict) else _groups(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the checkpoint's settings, and take out the text of a config that mmengine would run as code."""
        (checkpoint.get('meta') or {}).pop('config', None)
        saved = checkpoint.get('param_schedulers') or []
        states = [state for part in saved.values() for state in part] if isinstance(saved, dict) else saved
        self._saved = [_settings(state) for state in states]
        info = (checkpoint.get('message_hub') or {}).get('runtime_info') or {}
        self._length = (info.get('max_epochs'), info.get('max_iters'))

    def before_train(self, runner: Runner) -> None:
        """Compare them with the checkpoint's, and apply them where they differ.

        Raises:
            UserError: they differ, and there are several optimizers, or a scheduler depends on metrics.
        """
        if not runner._resume or runner.iter == 0:
            return
        changes = self._apply_groups(runner)
        if self._saved == self._schedulers and not any(change.startswith('initial_') for change in changes):
            self._refuse_tail(runner)
            return
        changes += _differences(self._saved, self._schedulers)
        needs_metrics = any(hasattr(scheduler, 'monitor') for scheduler in _schedulers(runner))
        if isinstance(runner.optim_wrapper, OptimWrapperDict) or needs_metrics:
            raise UserError(
                f'the schedule differs from that of the checkpoint ({"; ".join(changes)}), and cannot be applied to a '
                'training with several optimizers, or whose rates depend on metrics; resume with the old schedule, or '
                'start a new training from the weights'
            )
        before = _rates(runner)
        self._advance(runner)
        runner.logger.warning(
            f'The schedule differs from that of the checkpoint: {"; ".join(changes)}. The config counts: the rate goes '
            f'on with {_rates(runner):.3g} instead of {before:.3g}.'
        )
        self._refuse_tail(runner)

    def _refuse_tail(self, runner: Runner) -> None:
        """Refuse a longer training whose schedule does not go on.

        Raises:
            UserError: it is longer than that of the checkpoint, and its schedule ends where that one ended.
        """
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        old, new = (self._length[0], runner.max_epochs) if by_epoch else (self._length[1], runner.max_iters)
        if not isinstance(old, int) or new <= old:
            return
        epoch_length = len(runner.train_dataloader) if by_epoch else 1
        rated = [scheduler for scheduler in _schedulers(runner) if scheduler.param_name == 'lr']
        ends = [scheduler.end * (epoch_length if scheduler.by_epoch else 1) for scheduler in rated]
        if ends and max(ends) == old * epoch_length:
            raise UserError(
                f'train_cfg.max_{"epochs" if by_epoch else "iters"} is {new} instead of {old}, but the schedule of '
                f'the rate ends at {old}: it would stay there; set end and T_max of param_scheduler to {new}'
            )

    def _apply_groups(self, runner: Runner) -> list[str]:
        """Set what the config says about weight decay, momentum and the like; return what changed."""
        changes: dict[str, None] = {}
        if not self._groups:
            return []
        scheduled = {scheduler.param_name for scheduler in _schedulers(runner)}
        wrapper: Any = runner.optim_wrapper
        for group, wanted in zip(wrapper.optimizer.param_groups, self._groups, strict=True):
            for name, value in wanted.items():
                if name in _NOT_SETTINGS or name in scheduled or group.get(name) == value:
                    continue
                changes[f'{name} {group.get(name)} is now {value}'] = None
                group[name] = value
        for change in changes:
            if not change.startswith('initial_'):
                runner.logger.warning(f'A setting of the optimizer differs from that of the checkpoint: {change}.')
        return list(changes)

    def _advance(self, runner: Runner) -> None:
        """Build the schedulers anew and advance them to where the training is."""
        wrapper: Any = runner.optim_wrapper
        for scheduler in _schedulers(runner):
            for group in wrapper.param_groups:
                group[scheduler.param_name] = group[f'initial_{scheduler.param_name}']
        runner.param_schedulers = runner.build_param_scheduler(runner.cfg.param_scheduler)
        schedulers = _schedulers(runner)
        epoch_length = len(runner.train_dataloader)
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        steps = runner.iter
        if by_epoch and not 0 < steps - runner.epoch * epoch_length < epoch_length:
            # Not interrupted in the middle of an epoch.
            steps = runner.epoch * epoch_length
        with warnings.catch_warnings():
            # They are advanced without the optimizer's steps in between.
            warnings.simplefilter('ignore')
            for step in range(1, steps + 1):
                for scheduler in schedulers:
                    if not scheduler.by_epoch:
                        scheduler.step()
                if by_epoch and step % epoch_length == 0:
                    for scheduler in schedulers:
                        if scheduler.by_epoch:
                            scheduler.step()


def _schedulers(runner: Runner) -> list[Any]:
    """Return all schedulers of a runner."""
    given: Any = runner.param_schedulers or []
    return [part for parts in given.values() for part in parts] if isinstance(given, dict) else list(given)


def _settings(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in _PROGRESS}


def _groups(runner: Runner) -> list[dict[str, Any]]:
    groups = runner.optim_wrapper.optimizer.param_groups  # type: ignore[union-attr]
    return [{name: value for name, value in group.items() if name != 'params'} for group in groups]


def _rates(runner: Runner) -> float:
    return float(runner.optim_wrapper.param_groups[0]['lr'])  # type: ignore[union-attr]


def _differences(loaded: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> list[str]:
    """Say which settings of the schedulers differ."""
    changes = []
    for index in range(max(len(loaded), len(wanted))):
        old, new = (given[index] if index < len(given) else {} for given in (loaded, wanted))
        for name in dict.fromkeys([*old, *new]):
            if old.get(name) != new.get(name) and name != 'base_values':
                changes.append(f'param_scheduler.{index}.{name} {old.get(name)} is now {new.get(name)}')
    return changes
