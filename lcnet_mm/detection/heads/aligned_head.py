"""The head of PicoDet's second generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.utils import reduce_mean
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...backbones.layers import Config, ConvNormAct
from ..structures import GroundTruth
from .base import PicoDetBaseHead, Positives, flatten_levels

# Inside the square root of the score, so that its gradient stays finite
# (docs/specification/picodet.md#aligned-head). Vanishes in float16.
SCORE_EPS = 1e-9


class ChannelGate(nn.Module):
    """A sigmoid gate per channel from the pooled features, and a 1x1 convolution after it.

    Source: ``PicoSE`` of PaddleDetection (docs/specification/picodet.md#towers): no reduction, a true sigmoid.

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
        """Gate the features ``(N, C, H, W)`` and convolve them."""
        result: Tensor = self.conv(x * self.fc(F.adaptive_avg_pool2d(x, 1)).sigmoid())
        return result


class AlignBranch(nn.Sequential):
    """One logit per point that says how well class and box agree: a dense 5x5 convolution and a 1x1, each with norm.

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
    """PicoDet head of release 2.4: gated features, scores aligned with the boxes, ATSS first and then task alignment.

    The score is ``sqrt(sigmoid(class) * sigmoid(align))``; this probability is what training, assignment and NMS see.
    Source: PaddleDetection's ``PicoHeadV2`` (docs/specification/picodet.md#towers,
    docs/specification/picodet.md#aligned-head, docs/specification/picodet.md#losses).

    Args:
        num_classes: Number of classes.
        in_channels: Channels of every level, and of the towers.
        num_convs: Pairs of depthwise and pointwise convolutions in a tower.
        kernel_size: Side of the depthwise kernels and of the align branch's.
        strides: Strides of the levels in input pixels.
        reg_max: Distances are expectations over 0 … ``reg_max`` strides.
        norm_cfg: mm config of the norms.
        act_cfg: mm config of the activations.
        loss_vfl: Varifocal loss on the scores.
        loss_bbox: Loss on the boxes of the positives, in strides.
        loss_dfl: Distribution focal loss on their distances.
        train_cfg: Has ``initial_epoch``, ``initial_assigner`` for the epochs before it, and ``assigner`` for the rest.
        test_cfg: As in :class:`PicoDetBaseHead`.
        init_cfg: mm config of the initialisation.

    Attributes:
        epoch: The epoch in training, counted from 0; mmdet's ``SetEpochInfoHook`` keeps it.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_convs: int = 2,
        kernel_size: int = 5,
        strides: Sequence[int] = (8, 16, 32, 64),
        reg_max: int = 7,
        norm_cfg: Config = dict(type='BN'),
        act_cfg: Config = dict(type='HSwish'),
        loss_vfl: Config = dict(type='ProbabilityVarifocalLoss', alpha=0.75, gamma=2.0),
        loss_bbox: Config = dict(type='GIoULoss', loss_weight=2.5, eps=1e-10),
        loss_dfl: Config = dict(type='DistributionFocalLoss', loss_weight=0.5),
        train_cfg: Config | None = None,
        test_cfg: ConfigDict | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = [
            dict(
                type='Normal',
                layer='Conv2d',
                std=0.01,
                override=dict(type='Normal', name='cls_predictors', std=0.01, bias_prob=0.01),
            ),
            dict(type='Constant', layer=['_BatchNorm', 'GroupNorm'], val=1, bias=0),
        ],
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            num_convs=num_convs,
            kernel_size=kernel_size,
            strides=strides,
            reg_max=reg_max,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            loss_bbox=loss_bbox,
            loss_dfl=loss_dfl,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
        )
        cfgs = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.gates = nn.ModuleList(ChannelGate(in_channels, **cfgs) for _ in self.strides)
        self.cls_predictors = nn.ModuleList(nn.Conv2d(in_channels, num_classes, 1) for _ in self.strides)
        self.reg_predictors = nn.ModuleList(nn.Conv2d(in_channels, self.reg_channels, 1) for _ in self.strides)
        self.align = nn.ModuleList(AlignBranch(in_channels, kernel_size, **cfgs) for _ in self.strides)
        self.loss_vfl = MODELS.build(loss_vfl)
        self.epoch = 0
        if train_cfg:
            self.initial_assigner = TASK_UTILS.build(train_cfg['initial_assigner'])
            self.assigner = TASK_UTILS.build(train_cfg['assigner'])

    def init_weights(self) -> None:
        """Initialise as the original: the gates with a tenth of the others' deviation, the align branch as a neck."""
        super().init_weights()
        for module in self.gates.modules():
            if isinstance(module, ChannelGate):
                nn.init.normal_(module.fc.weight, std=0.001)
        for module in self.align.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity='relu')

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Compute the scores and the distance logits of each level.

        Args:
            feats: The neck's levels, ``(N, in_channels, H_i, W_i)`` each.

        Returns:
            Scores within 0 and 1 ``(N, num_classes, H_i, W_i)`` in float32, and distance logits
            ``(N, 4 * (reg_max + 1), H_i, W_i)``.
        """
        scores, reg_logits = [], []
        for feat, tower, gate, cls, reg, align in zip(
            feats, self.towers, self.gates, self.cls_predictors, self.reg_predictors, self.align, strict=True
        ):
            tower_feat = tower(feat)
            gated = gate(tower_feat)
            product = cls(gated).float().sigmoid() * align(tower_feat).float().sigmoid()
            scores.append((product + SCORE_EPS).sqrt())
            reg_logits.append(reg(gated))
        return scores, reg_logits

    def scores_and_boxes_by_feat(self, *outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Decode the maps of all levels, see the base class."""
        scores, reg_logits = outputs
        points = self.get_points(scores)
        return flatten_levels(scores), self.decode(flatten_levels(reg_logits), points) * points.strides

    def loss_by_feat(  # type: ignore[override]  # one map per level and output
        self,
        scores: Sequence[Tensor],
        reg_logits: Sequence[Tensor],
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict[str, Any]],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """Compute the three losses of a batch.

        Args:
            scores: As :meth:`forward` returns them.
            reg_logits: As :meth:`forward` returns them.
            batch_gt_instances: For each image ``bboxes`` ``(n, 4)`` xyxy in input pixels and ``labels`` ``(n,)``.
            batch_img_metas: Not used: points outside a smaller image of a padded batch are negatives like any other.
            batch_gt_instances_ignore: Not used: the original drops crowd boxes
                (docs/specification/picodet.md#data-pipeline).

        Returns:
            ``loss_vfl``, ``loss_bbox`` and ``loss_dfl``, scalars.
        """
        assert self.train_cfg, 'training needs a train_cfg with assigners'
        points = self.get_points(scores)
        gt = GroundTruth.from_instances(batch_gt_instances)
        score, reg_logit = flatten_levels(scores).float(), flatten_levels(reg_logits).float()
        boxes = self.decode(reg_logit, points)

        initial = self.epoch < self.train_cfg['initial_epoch']
        assigner = self.initial_assigner if initial else self.assigner
        assignment = assigner.assign_with_quality(points, gt, score.detach(), boxes.detach() * points.strides)
        positives = Positives.from_assigned(assignment.gt_index, points, gt)
        at = positives.image, positives.point
        quality = assignment.quality[at]
        targets = torch.zeros_like(score)
        targets[(*at, gt.labels[positives.box])] = quality
        norm = reduce_mean(quality.sum()).clamp(min=1)
        return dict(
            loss_vfl=self.loss_vfl(score, targets, avg_factor=norm),
            **self.box_losses(reg_logit[at], boxes[at], positives, quality, norm),
        )
