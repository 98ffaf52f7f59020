"""The exponential moving average of PaddleDetection: its ramp and its cycle."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import EMAHook
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import HOOKS, MODELS
from mmengine.runner import Runner
from torch import Tensor


@MODELS.register_module()
class RampedEMA(ExponentialMovingAverage):
    """EMA whose decay starts at 0.1 and rises as ``min(1 - momentum, (1 + n) / (10 + n))`` with the n-th update.

    Source: ``ppdet/optimizer/ema.py`` with ``ema_decay_type: threshold`` (docs/specification/picodet.md#ema). The
    original starts from zero and divides by ``1 - decay ** n`` when it is read; starting from a copy of the model gives
    the same.
    """

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        """Move the average towards the model."""
        averaged_param.lerp_(source_param, max(self.momentum, 9 / (10 + int(steps))))


@HOOKS.register_module()
class CyclicEMAHook(EMAHook):
    """EMA hook that forgets the average every ``cycle_epochs`` epochs and starts again from the model.

    The epoch that ends a cycle is still evaluated and saved with its average. Source: ``cycle_epoch`` of
    PaddleDetection up to 2.3, with which the paper-era models were trained (docs/specification/picodet.md#ema).

    Args:
        cycle_epochs: Length of a cycle in epochs.
        kwargs: As for ``EMAHook``.
    """

    def __init__(self, cycle_epochs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if cycle_epochs < 1:
            raise ValueError(f'cycle_epochs must be at least 1, got {cycle_epochs}')
        self.cycle_epochs = cycle_epochs

    def before_train_epoch(self, runner: Runner) -> None:
        """Forget the average at the start of a cycle: the first update at step 0 copies the model."""
        if runner.epoch % self.cycle_epochs == 0:
            self.ema_model.steps.zero_()
