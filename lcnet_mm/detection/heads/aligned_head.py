"""The head of PicoDet in release 2.4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.utils import reduce_mean
from torch import Tensor, nn

from ...backbones.layers import Config, ConvNormAct
from ..losses import to_full_precision
from ..structures import Assigner, Assignment, GroundTruth
from .base import PicoDetBaseHead, Positives, normal_init

# Inside the square root of the score, so that its gradient stays finite
# (docs/specification/picodet.md#aligned-head). Vanishes in float16.
_SCORE_EPS = 1e-9

_INIT_CFG = normal_init('cls_predictors')


class _ChannelGate(nn.Module):
    """A sigmoid gate per channel from the pooled features, followed by a 1x1 convolution.

    Source: ``PicoSE`` of PaddleDetection (docs/specification/picodet.md#towers): without reduction, with a true
    sigmoid.

    Args:
        channels: Channels of input and output.
        norm_cfg: mm config of the norm.
        act_cfg: mm config of the activation.

    Shapes:
        ``(N, channels, H, W)`` to the same.
    """

    def __init__(self, channels: int, *, norm_cfg: Config, act_cfg: Config) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)
        self.conv = ConvNormAct(channels, channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """Run the block on ``(N, C, H, W)``."""
        result: Tensor = self.conv(x * self.fc(F.adaptive_avg_pool2d(x, 1)).sigmoid())
        return result


class _AlignBranch(nn.Sequential):
    """One logit per point for the alignment of class and box: a dense 5x5 and a 1x1 convolution, each with a norm.

    Source: ``cls_align`` of PaddleDetection's ``PicoHeadV2`` (docs/specification/picodet.md#aligned-head).

    Args:
        channels: Channels of the input.
        kernel_size: Side of the first kernel.
        norm_cfg: mm config of the norms.
        act_cfg: mm config of the activation between the convolutions.

    Shapes:
        ``(N, channels, H, W)`` to ``(N, 1, H, W)``.
    """

    def __init__(self, channels: int, kernel_size: int, *, norm_cfg: Config, act_cfg: Config) -> None:
        super().__init__(
            ConvNormAct(channels, 1, kernel_size, norm_cfg=norm_cfg, act_cfg=act_cfg),
            ConvNormAct(1, 1, 1, norm_cfg=norm_cfg, act_cfg=None),
        )


@MODELS.register_module()
class PicoDetAlignedHead(PicoDetBaseHead):
    """PicoDet head of release 2.4: gated features, scores aligned with the boxes, ATSS and then task alignment.

    The score is ``sqrt(sigmoid(class) * sigmoid(align))``; training, assignment and NMS use this probability.
    Source: PaddleDetection's ``PicoHeadV2`` (docs/specification/picodet.md#towers,
    docs/specification/picodet.md#aligned-head, docs/specification/picodet.md#losses).

    Args:
        num_classes: Number of classes.
        in_channels: Channels of every level, and of the towers.
        loss_vfl: Varifocal loss on the scores.
        loss_bbox: Loss on the boxes of the positives, in strides.
        loss_dfl: Distribution focal loss on their distances.
        train_cfg: With ``initial_epoch``, ``initial_assigner`` for the epochs before it, and ``assigner`` for the rest.
        init_cfg: mm config of the initialization.
        kwargs: As for :class:`PicoDetBaseHead`; ``kernel_size`` also applies to the align branch.

    Attributes:
        epoch: The training epoch, counted from 0; set by mmdet's ``SetEpochInfoHook``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        loss_vfl: Config = dict(type='ProbabilityVarifocalLoss', alpha=0.75, gamma=2.0),
        loss_bbox: Config = dict(type='GIoULoss', loss_weight=2.5, eps=1e-10),
        loss_dfl: Config = dict(type='DistributionFocalLoss', loss_weight=0.5),
        train_cfg: Config | None = None,
        init_cfg: Any = _INIT_CFG,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_classes,
            in_channels,
            loss_bbox=loss_bbox,
            loss_dfl=loss_dfl,
            train_cfg=train_cfg,
            init_cfg=init_cfg,
            **kwargs,
        )
        cfgs = dict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.gates = nn.ModuleList(_ChannelGate(in_channels, **cfgs) for _ in self.strides)
        self.cls_predictors = nn.ModuleList(nn.Conv2d(in_channels, num_classes, 1) for _ in self.strides)
        self.reg_predictors = nn.ModuleList(nn.Conv2d(in_channels, self.reg_channels, 1) for _ in self.strides)
        self.align = nn.ModuleList(_AlignBranch(in_channels, self.kernel_size, **cfgs) for _ in self.strides)
        self.loss_vfl = MODELS.build(loss_vfl)
        self.epoch = 0
        self.initial_assigner: Assigner | None = TASK_UTILS.build(train_cfg['initial_assigner']) if train_cfg else None

    def init_weights(self) -> None:
        """Initialize like the original: gates with a standard deviation of 0.001, the align branch like a neck."""
        super().init_weights()
        for module in self.gates.modules():
            if isinstance(module, _ChannelGate):
                nn.init.normal_(module.fc.weight, std=0.001)
        for module in self.align.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity='relu')

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Compute the scores and the distance logits of each level.

        Args:
            feats: The neck's levels, ``(N, in_channels, H_i, W_i)`` each.

        Returns:
            Scores between 0 and 1 ``(N, num_classes, H_i, W_i)``, at least in float32, and distance logits
            ``(N, 4 * (reg_max + 1), H_i, W_i)``.
        """
        scores, reg_logits = [], []
        for feat, tower, gate, cls, reg, align in zip(
            feats, self.towers, self.gates, self.cls_predictors, self.reg_predictors, self.align, strict=True
        ):
            tower_feat = tower(feat)
            gated = gate(tower_feat)
            product = to_full_precision(cls(gated)).sigmoid() * to_full_precision(align(tower_feat)).sigmoid()
            scores.append((product + _SCORE_EPS).sqrt())
            reg_logits.append(reg(gated))
        return scores, reg_logits

    @property
    def current_assigner(self) -> Assigner:
        """Assigner of the current epoch: the initial one before ``initial_epoch``."""
        assert self.train_cfg and self.initial_assigner and self.assigner, 'training needs a train_cfg with assigners'
        return self.initial_assigner if self.epoch < self.train_cfg['initial_epoch'] else self.assigner

    def to_scores(self, cls_output: Tensor) -> Tensor:
        """Return ``cls_output``: :meth:`forward` already computes scores."""
        return cls_output

    def class_loss(
        self, cls_output: Tensor, positives: Positives, assignment: Assignment, gt: GroundTruth
    ) -> dict[str, Tensor]:
        """Compute the varifocal loss on the scores over the sum of the qualities, at least 1."""
        targets = torch.zeros_like(cls_output)
        targets[positives.image, positives.point, positives.labels] = positives.quality
        norm = reduce_mean(positives.quality.sum()).clamp(min=1)
        return dict(loss_vfl=self.loss_vfl(cls_output, targets, avg_factor=norm))

    def box_weights(self, cls_output: Tensor, positives: Positives) -> Tensor:
        """Return the qualities."""
        return positives.quality
