"""The head of PicoDet's first released generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import Tensor

from ...backbones.layers import Config
from ..structures import GroundTruth, Points
from .base import Positives
from .gfl_head import PicoDetGFLHead


@MODELS.register_module()
class PicoDetSimOTAHead(PicoDetGFLHead):
    """PicoDet head of release 2.3: as the GFL-style one, with four levels, SimOTA and the varifocal loss.

    Source: PaddleDetection's ``pico_head.py`` (``PicoHead``) from 18 October 2021
    (docs/specification/picodet.md#generation-1-models, docs/specification/picodet.md#losses).

    Args:
        num_classes: Number of classes.
        in_channels: Channels of every level, and of the towers.
        num_convs: Pairs of depthwise and pointwise convolutions in a tower.
        strides: Strides of the levels in input pixels.
        act_cfg: mm config of the activations.
        loss_vfl: Varifocal loss on the class logits.
        train_cfg: Has the ``assigner``, a :class:`BatchSimOTAAssigner`.
        test_cfg: As in :class:`PicoDetBaseHead`.
        kwargs: As for :class:`PicoDetGFLHead`.
    """

    clip_border = False

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_convs: int = 4,
        strides: Sequence[int] = (8, 16, 32, 64),
        act_cfg: Config = dict(type='HSwish'),
        loss_vfl: Config = dict(type='VarifocalLoss', use_sigmoid=True, alpha=0.75, gamma=2.0, iou_weighted=True),
        train_cfg: Config | None = None,
        test_cfg: ConfigDict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_classes,
            in_channels,
            num_convs=num_convs,
            strides=strides,
            act_cfg=act_cfg,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            **kwargs,
        )
        del self.loss_qfl
        self.loss_vfl = MODELS.build(loss_vfl)

    def assign(self, points: Points, gt: GroundTruth, cls_logit: Tensor, reg_logit: Tensor) -> Tensor:
        """Assign each image on its own, see the base class."""
        assert self.assigner is not None, 'training needs a train_cfg with an assigner'
        boxes = self.decode(reg_logit.detach(), points) * points.strides
        result: Tensor = self.assigner.assign(points, gt, cls_logit.detach().sigmoid(), boxes)
        return result

    def class_loss(
        self, cls_logit: Tensor, positives: Positives, labels: Tensor, quality: Tensor, norm: Tensor
    ) -> dict[str, Tensor]:
        """Compute the varifocal loss on logits, see the base class."""
        targets = cls_logit.new_zeros(cls_logit.shape)
        targets[positives.image, positives.point, labels] = quality
        return dict(loss_vfl=self.loss_vfl(cls_logit.flatten(0, 1), targets.flatten(0, 1), avg_factor=norm))
