"""The head of PicoDet in release 2.3."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.utils import reduce_mean
from torch import Tensor

from ...backbones.layers import Config
from ..structures import Assignment, GroundTruth
from .base import Positives
from .shared_head import SharedPredictorHead


@MODELS.register_module()
class PicoDetSimOTAHead(SharedPredictorHead):
    """PicoDet head of release 2.3: four levels, one 1x1 predictor per level, SimOTA, varifocal loss, DFL and GIoU.

    Source: PaddleDetection's ``pico_head.py`` (``PicoHead``) from 18 October 2021
    (docs/specification/picodet.md#generation-1-models, docs/specification/picodet.md#losses).

    Args:
        num_classes: Number of classes.
        in_channels: Channels of every level, and of the towers.
        num_convs: Number of pairs of depthwise and pointwise convolutions in a tower.
        loss_vfl: Varifocal loss on the class logits.
        kwargs: As for :class:`SharedPredictorHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_convs: int = 4,
        loss_vfl: Config = dict(type='VarifocalLoss', use_sigmoid=True, alpha=0.75, gamma=2.0, iou_weighted=True),
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, in_channels, num_convs=num_convs, **kwargs)
        self.loss_vfl = MODELS.build(loss_vfl)

    def class_loss(
        self, cls_output: Tensor, positives: Positives, assignment: Assignment, gt: GroundTruth
    ) -> dict[str, Tensor]:
        """Compute the varifocal loss over the number of positive points, at least 1.

        An image without boxes counts as 0, and an image whose boxes have no point as 1
        (docs/specification/picodet.md#positive-count).
        """
        targets = torch.zeros_like(cls_output)
        targets[positives.image, positives.point, positives.labels] = positives.quality
        has_boxes = torch.bincount(gt.image_index, minlength=len(cls_output)) > 0
        counts = (assignment.gt_index >= 0).sum(1).maximum(has_boxes.long())
        norm = reduce_mean(counts.sum().to(cls_output)).clamp(min=1)
        return dict(loss_vfl=self.loss_vfl(cls_output.flatten(0, 1), targets.flatten(0, 1), avg_factor=norm))
