"""mmdeploy's task processors, where they need a correction."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmdeploy.codebase.base import BaseTask
from mmdeploy.codebase.mmseg.deploy.segmentation import MMSEG_TASK, Segmentation
from mmdeploy.utils import Task


@MMSEG_TASK.register_module(Task.SEGMENTATION.value, force=True)
class SegmentationTask(Segmentation):
    """mmseg's task, whose drawings are written where they are asked for.

    mmdeploy 1.3.1 hands the visualizer no file, which then writes ``NAME_0.png`` into the current folder.
    """

    def visualize(  # type: ignore[override]  # mmdeploy's signature of the task, not of its base
        self,
        image: str | np.ndarray,
        result: Any,
        output_file: str,
        window_name: str = '',
        show_result: bool = False,
        **_: Any,
    ) -> None:
        """Draw a prediction on an image.

        Args:
            image: A file, or an RGB array ``(H, W, 3)``.
            result: The predicted data sample.
            output_file: The file to write.
            window_name: Name of the visualizer.
            show_result: Whether to show the drawing in a window.
        """
        BaseTask.visualize(self, image, result.cpu(), output_file, window_name, show_result)
