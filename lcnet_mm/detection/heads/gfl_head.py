"""The head of the PP-LCNet paper's own detection table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps
from mmdet.utils import reduce_mean
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...backbones.layers import Config
from ..structures import GroundTruth, Points
from .base import PicoDetBaseHead, Positives, flatten_levels


@MODELS.register_module()
class PicoDetGFLHead(PicoDetBaseHead):
    """GFL-style PicoDet head of summer 2021: one 1x1 predictor for classes and boxes per level, QFL, DFL and GIoU.

    What differs from mmdet's ``GFLHead``: per-level depthwise 5x5 towers with BN instead of shared 3x3 ones with GN,
    1x1 predictors, points in the middle of their cells, no learnable scale, and an assignment and losses that run once
    over the whole batch instead of once per image and level. Source: PaddleDetection's ``pico_head.py`` before
    18 October 2021 (docs/specification/picodet.md#paper-era, docs/specification/picodet.md#losses).

    Args:
        num_classes: Number of classes.
        in_channels: Channels of every level, and of the towers.
        num_convs: Pairs of depthwise and pointwise convolutions in a tower.
        kernel_size: Side of the depthwise kernels.
        strides: Strides of the levels in input pixels.
        reg_max: Distances are expectations over 0 … ``reg_max`` strides.
        norm_cfg: mm config of the norms.
        act_cfg: mm config of the activations.
        loss_qfl: Quality focal loss on the class logits.
        loss_bbox: Loss on the boxes of the positives, in strides.
        loss_dfl: Distribution focal loss on their distances.
        train_cfg: Has the ``assigner``.
        test_cfg: As in :class:`PicoDetBaseHead`.
        init_cfg: mm config of the initialisation. By default normal with a deviation of 0.01, and biases of the
            predictor that give every class a prior of 0.01.
    """

    clip_border = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_convs: int = 2,
        kernel_size: int = 5,
        strides: Sequence[int] = (8, 16, 32),
        reg_max: int = 7,
        norm_cfg: Config = dict(type='BN'),
        act_cfg: Config = dict(type='LeakyReLU', negative_slope=0.1),
        loss_qfl: Config = dict(type='QualityFocalLoss', beta=2.0, loss_weight=1.0),
        loss_bbox: Config = dict(type='GIoULoss', loss_weight=2.0, eps=1e-10),
        loss_dfl: Config = dict(type='DistributionFocalLoss', loss_weight=0.25),
        train_cfg: Config | None = None,
        test_cfg: ConfigDict | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = [
            dict(
                type='Normal',
                layer='Conv2d',
                std=0.01,
                override=dict(type='Normal', name='predictors', std=0.01, bias_prob=0.01),
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
        self.predictors = nn.ModuleList(
            nn.Conv2d(in_channels, num_classes + self.reg_channels, 1) for _ in self.strides
        )
        self.loss_qfl = MODELS.build(loss_qfl)
        self.assigner = TASK_UTILS.build(train_cfg['assigner']) if train_cfg else None

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Compute the logits of each level.

        Args:
            feats: The neck's levels, ``(N, in_channels, H_i, W_i)`` each.

        Returns:
            Class logits ``(N, num_classes, H_i, W_i)`` and distance logits ``(N, 4 * (reg_max + 1), H_i, W_i)``.
        """
        cls_logits, reg_logits = [], []
        for feat, tower, predictor in zip(feats, self.towers, self.predictors, strict=True):
            cls_logit, reg_logit = predictor(tower(feat)).split((self.num_classes, self.reg_channels), 1)
            cls_logits.append(cls_logit)
            reg_logits.append(reg_logit)
        return cls_logits, reg_logits

    def scores_and_boxes_by_feat(self, *outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Decode the maps of all levels, see the base class."""
        cls_logits, reg_logits = outputs
        points = self.get_points(cls_logits)
        boxes = self.decode(flatten_levels(reg_logits), points) * points.strides
        return flatten_levels(cls_logits).sigmoid(), boxes

    def loss_by_feat(  # type: ignore[override]  # one map per level and output
        self,
        cls_logits: Sequence[Tensor],
        reg_logits: Sequence[Tensor],
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict[str, Any]],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """Compute the three losses of a batch.

        Args:
            cls_logits: As :meth:`forward` returns them.
            reg_logits: As :meth:`forward` returns them.
            batch_gt_instances: For each image ``bboxes`` ``(n, 4)`` xyxy in input pixels and ``labels`` ``(n,)``.
            batch_img_metas: Not used: points outside a smaller image of a padded batch are negatives like any other.
            batch_gt_instances_ignore: Not used: the original drops crowd boxes
                (docs/specification/picodet.md#data-pipeline).

        Returns:
            ``loss_qfl``, ``loss_bbox`` and ``loss_dfl``, scalars.
        """
        points = self.get_points(cls_logits)
        gt = GroundTruth.from_instances(batch_gt_instances)
        # In fp32 also under autocast: the losses subtract nearly equal numbers.
        cls_logit = flatten_levels(cls_logits).float()
        reg_logit = flatten_levels(reg_logits).float()

        assigned = self.assign(points, gt, cls_logit, reg_logit)
        positives = Positives.from_assigned(assigned, points, gt)
        at = positives.image, positives.point
        # Only the positives are decoded: a few hundred of the batch's tens of thousands of points.
        boxes = self.decode(reg_logit[at], positives.points)
        quality = bbox_overlaps(boxes.detach(), positives.targets, is_aligned=True)

        # An image without positives counts as one (docs/specification/picodet.md#positive-count).
        num_pos = (assigned >= 0).sum(1).clamp(min=1).sum().to(cls_logit)
        weights = cls_logit.detach()[at].amax(1).sigmoid()
        norm = reduce_mean(weights.sum()).clamp(min=1)
        return dict(
            **self.class_loss(cls_logit, positives, gt.labels[positives.box], quality, reduce_mean(num_pos)),
            **self.box_losses(reg_logit[at], boxes, positives, weights, norm),
        )

    def assign(self, points: Points, gt: GroundTruth, cls_logit: Tensor, reg_logit: Tensor) -> Tensor:
        """Return ``(N, P)`` indices into the batch's boxes, -1 for the background; predictions are not looked at."""
        assert self.assigner is not None, 'training needs a train_cfg with an assigner'
        result: Tensor = self.assigner.assign(points, gt, len(cls_logit))
        return result

    def class_loss(
        self, cls_logit: Tensor, positives: Positives, labels: Tensor, quality: Tensor, norm: Tensor
    ) -> dict[str, Tensor]:
        """Compute the loss on the class logits ``(N, P, num_classes)``, whose target at the positives is their IoU.

        Args:
            cls_logit: The logits.
            positives: The M positives.
            labels: ``(M,)`` their classes.
            quality: ``(M,)`` the IoU of their predicted boxes.
            norm: What the sum is divided by.
        """
        at = positives.image, positives.point
        target_labels = labels.new_full(cls_logit.shape[:2], self.num_classes)
        target_labels[at] = labels
        target_quality = cls_logit.new_zeros(cls_logit.shape[:2])
        target_quality[at] = quality
        targets = target_labels.flatten(), target_quality.flatten()
        return dict(loss_qfl=self.loss_qfl(cls_logit.flatten(0, 1), targets, avg_factor=norm))
