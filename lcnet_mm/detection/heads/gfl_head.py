"""The PicoDet head of the time of the PP-LCNet paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.registry import MODELS
from mmdet.utils import reduce_mean
from torch import Tensor

from ...backbones.layers import Config
from ..structures import Assignment, GroundTruth
from .base import Positives
from .shared_head import SharedPredictorHead


@MODELS.register_module()
class PicoDetGFLHead(SharedPredictorHead):
    """GFL-style PicoDet head of summer 2021: one 1x1 predictor for classes and boxes per level, QFL, DFL and GIoU.

    Differences from ``GFLHead`` of mmdet: per-level depthwise 5x5 towers with BN instead of shared 3x3 ones with GN,
    1x1 predictors, points in the centers of their cells, no learnable scale, and assignment and losses that are
    computed once for the batch instead of once per image and level. Source: PaddleDetection's ``pico_head.py`` before
    18 October 2021 (docs/specification/picodet.md#paper-era, docs/specification/picodet.md#losses).

    Args:
        num_classes: Number of classes.
        in_channels: Channels of every level, and of the towers.
        strides: Strides of the levels in input pixels.
        act_cfg: mm config of the activations.
        loss_qfl: Quality focal loss on the class logits.
        kwargs: As for :class:`SharedPredictorHead`.
    """

    clip_border = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        strides: Sequence[int] = (8, 16, 32),
        act_cfg: Config = dict(type='LeakyReLU', negative_slope=0.1),
        loss_qfl: Config = dict(type='QualityFocalLoss', beta=2.0, loss_weight=1.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, in_channels, strides=strides, act_cfg=act_cfg, **kwargs)
        self.loss_qfl = MODELS.build(loss_qfl)

    def class_loss(
        self, cls_output: Tensor, positives: Positives, assignment: Assignment, gt: GroundTruth
    ) -> dict[str, Tensor]:
        """Compute the quality focal loss over the number of positive points.

        An image without them counts as one point, whether it has boxes or not
        (docs/specification/picodet.md#positive-count).
        """
        target_labels = positives.labels.new_full(cls_output.shape[:2], self.num_classes)
        target_labels[positives.image, positives.point] = positives.labels
        targets = target_labels.flatten(), assignment.quality.flatten()
        count = (assignment.gt_index >= 0).sum(1).clamp(min=1).sum().to(cls_output)
        return dict(loss_qfl=self.loss_qfl(cls_output.flatten(0, 1), targets, avg_factor=reduce_mean(count)))
