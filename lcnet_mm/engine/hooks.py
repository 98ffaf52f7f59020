"""Training hooks that are not tied to a task."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..utils.models import unwrapped_model


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep the model's weights in channels-last order; the activations follow.

    Depthwise convolutions and their gradients are much faster so on a CPU (docs/detection.md has the measured ratio).
    The numbers of a checkpoint do not change.
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the model before it is compiled or wrapped."""
        model = unwrapped_model(runner)
        model.to(memory_format=torch.channels_last)
