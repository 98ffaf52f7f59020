"""Predictions on the same few validation images at each evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..utils.errors import describe_error


@HOOKS.register_module()
class SampleImagesHook(Hook):
    """Draw the labels and the predictions of a few validation images at each evaluation of a training.

    The images are spread over the validation data and always the same, in contrast to those of mmdet's
    ``DetVisualizationHook``. As there, the visualizer of the config draws them and gives them to all its backends;
    the local one keeps them in ``TIMESTAMP/vis_data/vis_image`` as ``val_NAME_EPOCH.png``. Of several processes, the
    first draws images of its part of the data.

    Args:
        num_images: Number of images; 0 for none.
        score_thr: Lowest score of a box that is drawn.
    """

    priority = 'VERY_LOW'

    def __init__(self, num_images: int = 4, score_thr: float = 0.3) -> None:
        self.num_images = num_images
        self.score_thr = score_thr
        self._failed = False

    def before_val_epoch(self, runner: Runner) -> None:
        """Choose the images by their place in the data."""
        self._seen = 0
        sampler: Any = runner.val_dataloader.sampler
        self._places = set(np.linspace(0, len(sampler) - 1, min(self.num_images, len(sampler))).astype(int).tolist())

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Draw those of the images that are in the batch."""
        first, self._seen = self._seen, self._seen + len(outputs or ())
        if self._failed or not is_main_process():
            return
        for index, sample in enumerate(outputs or ()):
            if first + index in self._places:
                try:
                    self._draw(runner, sample)
                # No drawing is worth the training.
                except Exception as error:
                    self._failed = True
                    runner.logger.warning(f'Sample predictions cannot be drawn: {describe_error(error)}')
                    return

    def _draw(self, runner: Runner, sample: Any) -> None:
        step = runner.epoch if isinstance(runner.train_loop, EpochBasedTrainLoop) else runner.iter
        visualizer: Any = runner.visualizer
        # A batch has no images of their full size, and some of its networks see them in another order of colors.
        image = mmcv.imread(sample.img_path, channel_order='rgb')
        name = f'val_{Path(sample.img_path).stem}'
        if hasattr(visualizer, 'visualize_cls'):
            visualizer.visualize_cls(image, sample, name=name, step=step, rescale_factor=_larger(image))
        elif 'pred_instances' in sample:
            visualizer.add_datasample(name, image, data_sample=sample, pred_score_thr=self.score_thr, step=step)
        else:
            visualizer.add_datasample(name, image, data_sample=sample, step=step)


def _larger(image: np.ndarray) -> float:
    """Return by how much to enlarge an image on which text would not fit."""
    return max(1.0, 224 / min(int(side) for side in image.shape[:2]))
