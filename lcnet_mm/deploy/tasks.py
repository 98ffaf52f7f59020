"""mmdeploy's task processors, where they need a correction."""

from __future__ import annotations

from typing import Any

import mmdeploy.codebase.mmseg.deploy.segmentation_model as segmentation_models
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdeploy.codebase.base import BaseTask
from mmdeploy.codebase.mmseg.deploy.segmentation import MMSEG_TASK, Segmentation, process_model_config
from mmdeploy.utils import Task, get_codebase_config
from mmengine.dataset import pseudo_collate
from mmengine.structures import PixelData
from mmseg.models.utils import resize
from torch import Tensor

# mmdeploy keeps its registry of backend segmentors under a private name of the module.
_BACKEND_SEGMENTORS = vars(segmentation_models)['__BACKEND_MODEL']


@_BACKEND_SEGMENTORS.register_module('end2end', force=True)
class SegmentationModel(segmentation_models.End2EndModel):
    """mmdeploy's backend segmentor, for padded inputs and for models of one output too.

    Attributes:
        threshold: Of a model of one output, the probability above which a pixel is of class 1.
    """

    threshold: float | None = None

    def pack_result(self, batch_outputs: Tensor, data_samples: list[Any]) -> list[Any]:
        """Turn outputs ``(N, 1, H, W)`` of classes, or ``(N, C, H, W)`` of logits, into maps of the images' sizes.

        mmdeploy takes the argmax of a single output, and stretches what was padded over the image.
        """
        for output, sample in zip(batch_outputs, data_samples, strict=True):
            meta = sample.metainfo
            if not get_codebase_config(self.deploy_cfg).get('with_argmax', True):
                if self.threshold is None:
                    output = output.argmax(0, keepdim=True)
                else:
                    output = (output.sigmoid() > self.threshold).long()
            shape = tuple(meta['ori_shape'][:2])
            if 'scale_factor' in meta:
                sides = zip(output.shape[1:], shape, meta['scale_factor'][::-1], strict=True)
                height, width = (max(1, min(side, round(length * factor))) for side, length, factor in sides)
                output = output[:, :height, :width]
            if tuple(output.shape[1:]) != shape:
                output = resize(output[None].float(), size=shape, mode='nearest')[0].to(output.dtype)
            sample.set_data(dict(pred_sem_seg=PixelData(data=output)))
        return data_samples


@MMSEG_TASK.register_module(Task.SEGMENTATION.value, force=True)
class SegmentationTask(Segmentation):
    """mmseg's task, which reads files as the test pipeline does, and writes drawings where they are asked for.

    mmdeploy 1.3.1 reads every file in color, and it hands the visualizer no file, which then writes ``NAME_0.png`` into
    the current folder.
    """

    def build_backend_model(self, *args: Any, **kwargs: Any) -> torch.nn.Module:
        """Build the backend model; one of a single output gets the threshold of the head."""
        model: torch.nn.Module = super().build_backend_model(*args, **kwargs)
        head = self.model_cfg.model.decode_head
        if isinstance(model, SegmentationModel) and isinstance(head, dict) and head.get('out_channels') == 1:
            # mmseg's default.
            threshold = head.get('threshold')
            model.threshold = 0.3 if threshold is None else threshold
        return model

    def create_input(  # type: ignore[override]  # mmdeploy's own signature
        self, imgs: Any, input_shape: Any = None, data_preprocessor: Any = None
    ) -> tuple[Any, Tensor]:
        """Bring images into the form in which the network gets them.

        Args:
            imgs: A file or a BGR array, or a list of either.
            input_shape: Width and height of a static export.
            data_preprocessor: The model's; without one the inputs stay as the pipeline gives them.

        Returns:
            The batch, and its inputs ``(N, C, H, W)``.
        """
        images = imgs if isinstance(imgs, list | tuple) else [imgs]
        pipeline = Compose(process_model_config(self.model_cfg, images, input_shape).test_pipeline)
        batch: Any = pseudo_collate(
            [pipeline(dict(img=image) if isinstance(image, np.ndarray) else dict(img_path=image)) for image in images]
        )
        if data_preprocessor is None:
            return batch, BaseTask.get_tensor_from_input(batch)
        batch = data_preprocessor(batch, False)
        return batch, batch['inputs']

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
