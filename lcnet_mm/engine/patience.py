"""Stopping a training whose metric no longer improves."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmengine.hooks import EarlyStoppingHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..utils.errors import UserError

# Where the message hub, which every checkpoint contains, has the count.
_COUNT = 'patience'
# What decides on the best checkpoint.
_KEYS = ('save_best', 'rule')
# What another number of evaluations replaces.
_STOPPING = ('EarlyStoppingHook', 'PatienceHook')


@HOOKS.register_module()
class PatienceHook(EarlyStoppingHook):
    """mmengine's ``EarlyStoppingHook``, which goes on counting when the training is resumed.

    The count is in every checkpoint, without the evaluation that follows on it. The arguments are those of the parent
    class.
    """

    def before_train(self, runner: Runner) -> None:
        """Go on from the count of the checkpoint."""
        self.best_score, self.wait_count = runner.message_hub.runtime_info.get(
            _COUNT, (self.best_score, self.wait_count)
        )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Count the evaluations without an improvement, and stop after the last.

        One without any result, such as CocoMetric's where nothing is detected yet, does not count.
        """
        if not metrics:
            return
        super().after_val_epoch(runner, metrics)  # type: ignore[no-untyped-call]
        runner.message_hub.update_info(_COUNT, [float(self.best_score), self.wait_count])


def stop_early(cfg: Config, patience: int) -> None:
    """Let a training stop after as many evaluations without a better result of the metric of the best checkpoint.

    It takes the place of what the config has for this.

    Args:
        cfg: The config, whose ``default_hooks.checkpoint.save_best`` names the metric; of several, the first counts.
        patience: Number of evaluations.

    Raises:
        UserError: ``patience`` is not positive, or the config names no metric.
    """
    if patience < 1:
        raise UserError(f'patience must be at least 1, got {patience}')
    hook: dict[str, Any] = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    best, rule = (value[0] if isinstance(value, list | tuple) else value for value in map(hook.get, _KEYS))
    if not best or best == 'auto':
        raise UserError(
            f'patience needs the metric that decides on the best checkpoint, and default_hooks.checkpoint.save_best '
            f'is {best!r}; name a metric, for example coco/bbox_mAP'
        )
    # Less than any metric is rounded to, so that a metric that stays as it is counts as no improvement.
    stopping = dict(type='PatienceHook', monitor=best, rule=rule, patience=patience, min_delta=1e-4)
    others = [hook for hook in cfg.get('custom_hooks') or [] if hook['type'] not in _STOPPING]
    cfg.custom_hooks = [*others, stopping]
