"""Drawing of the predictions of a test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import Runner
from mmpretrain.engine.hooks import VisualizationHook
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class ClsVisualizationHook(VisualizationHook):
    """``VisualizationHook`` of mmpretrain with the arguments of the hooks of mmdet and mmseg.

    The parent class writes outside the folder of the run, and draws the BGR input of the network as RGB.

    Args:
        draw: Whether to draw predictions.
        interval: Number of images of which one is drawn.
        test_out_dir: Folder for the drawings of a test, inside the folder of the run; None leaves it to the visualizer.
        kwargs: As for ``VisualizationHook``.
    """

    def __init__(self, draw: bool = False, interval: int = 1, test_out_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(enable=draw, interval=interval, **kwargs)
        self.test_out_dir = test_out_dir

    def after_test_iter(  # type: ignore[override]  # the samples of a classifier, not any mapping
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Any], outputs: Sequence[Any]
    ) -> None:
        """Draw the predictions of a batch."""
        if self.test_out_dir is not None:
            self.out_dir = str(Path(runner.log_dir, self.test_out_dir))
        super().after_test_iter(runner, batch_idx, data_batch, outputs)

    def _draw_samples(
        self, batch_idx: int, data_batch: dict[str, Any], data_samples: Sequence[Any], step: int = 0
    ) -> None:
        images = [image.flip(0) for image in data_batch['inputs']] if self.enable else []
        super()._draw_samples(batch_idx, dict(inputs=images), data_samples, step)
