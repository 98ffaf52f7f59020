"""Base of the PicoDet heads: points, decoding, losses and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.task_modules import MlvlPointGenerator
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.utils import reduce_mean
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...backbones.layers import Config, DepthwiseSeparable
from ..losses import to_full_precision
from ..structures import Assigner, Assignment, GroundTruth, Points

# Position of a point inside its cell, as a fraction of the stride; the same in all generations
# (docs/specification/picodet.md#common).
_CELL_OFFSET = 0.5

# Targets of the distributions stay this far below reg_max, so that their right bin always exists
# (docs/specification/picodet.md#losses).
_DFL_MARGIN = 0.1


class Positives(NamedTuple):
    """The M points of a batch that have an assigned box.

    Attributes:
        image: ``(M,)`` index of the image.
        point: ``(M,)`` index among the points of the image.
        points: The M points.
        labels: ``(M,)`` class of the box.
        targets: ``(M, 4)`` the box xyxy in strides of the point.
        quality: ``(M,)`` target of the score of the class.
    """

    image: Tensor
    point: Tensor
    points: Points
    labels: Tensor
    targets: Tensor
    quality: Tensor

    @classmethod
    def from_assignment(cls, assignment: Assignment, points: Points, gt: GroundTruth) -> Positives:
        """Collect the positives of an assignment."""
        image, point = (assignment.gt_index >= 0).nonzero(as_tuple=True)
        box = assignment.gt_index[image, point]
        own = Points(points.centers[point], points.strides[point], [])
        return cls(image, point, own, gt.labels[box], gt.boxes[box] / own.strides, assignment.quality[image, point])


def normal_init(predictors: str) -> list[dict[str, Any]]:
    """Return the ``init_cfg`` of a head: normal with a standard deviation of 0.01, and a prior of 0.01 for every class.

    Args:
        predictors: Name of the modules that predict the classes.
    """
    return [
        dict(
            type='Normal',
            layer='Conv2d',
            std=0.01,
            override=dict(type='Normal', name=predictors, std=0.01, bias_prob=0.01),
        ),
        dict(type='Constant', layer=['_BatchNorm', 'GroupNorm'], val=1, bias=0),
    ]


class PicoDetBaseHead(BaseDenseHead):
    """Base of the PicoDet heads: a depthwise tower per level and boxes as four distributions of distances.

    The levels share no weights, and no scale is learned (docs/specification/picodet.md#common).
    A subclass adds the predictors and overrides the methods that differ between the generations: :meth:`to_scores`,
    :meth:`class_loss` with its normalizer, :meth:`box_weights`, and :attr:`current_assigner` if it has several.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of every level, and of the towers.
        num_convs: Number of pairs of depthwise and pointwise convolutions in a tower.
        kernel_size: Side of the depthwise kernels.
        strides: Strides of the levels in input pixels.
        reg_max: Largest distance in strides; a distance is the expectation over 0 … ``reg_max``.
        norm_cfg: mm config of the norms.
        act_cfg: mm config of the activations.
        loss_bbox: Loss on the boxes of the positives, in strides.
        loss_dfl: Distribution focal loss on their distances.
        train_cfg: With the ``assigner``, a config of an :class:`~lcnet_mm.detection.structures.Assigner`.
        test_cfg: With ``nms_pre`` (points kept per level, by their best score), ``score_thr``, ``nms`` and
            ``max_per_img``.
        init_cfg: mm config of the initialization.

    Attributes:
        clip_border: Whether predicted boxes are clipped to the image before NMS.
    """

    clip_border = False
    project: Tensor

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
        loss_bbox: Config = dict(type='GIoULoss', loss_weight=2.0, eps=1e-10),
        loss_dfl: Config = dict(type='DistributionFocalLoss', loss_weight=0.25),
        train_cfg: Config | None = None,
        test_cfg: ConfigDict | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.kernel_size = kernel_size
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.strides = tuple(strides)
        self.reg_max = reg_max
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg
        self.prior_generator = MlvlPointGenerator(list(self.strides), offset=_CELL_OFFSET)
        self.loss_bbox = MODELS.build(loss_bbox)
        self.loss_dfl = MODELS.build(loss_dfl)
        self.assigner: Assigner | None = TASK_UTILS.build(train_cfg['assigner']) if train_cfg else None
        self.towers = nn.ModuleList(
            nn.Sequential(
                *(
                    DepthwiseSeparable(in_channels, in_channels, kernel_size, norm_cfg=norm_cfg, act_cfg=act_cfg)
                    for _ in range(num_convs)
                )
            )
            for _ in self.strides
        )
        self.register_buffer('project', torch.arange(reg_max + 1, dtype=torch.float), persistent=False)

    @property
    def reg_channels(self) -> int:
        """Number of channels of a box: ``reg_max + 1`` bins for each of four sides."""
        return 4 * (self.reg_max + 1)

    def get_points(self, maps: Sequence[Tensor]) -> Points:
        """Return the points of maps ``(N, *, H_i, W_i)``."""
        grids = self.prior_generator.grid_priors(
            [level.shape[-2:] for level in maps], device=maps[0].device, with_stride=True
        )
        points = torch.cat(grids)
        return Points(points[:, :2], points[:, 2:3], [len(grid) for grid in grids])

    def decode(self, reg_logits: Tensor, points: Points) -> Tensor:
        """Decode distributions to boxes.

        Args:
            reg_logits: ``(..., P, 4 * (reg_max + 1))``, sides in the order left, top, right, bottom.
            points: The P points.

        Returns:
            Boxes ``(..., P, 4)`` xyxy **in strides** of their point; multiply by ``points.strides`` for input pixels.
        """
        # Not unflatten, which ONNX has from opset 13 on.
        bins: Tensor = reg_logits.reshape(*reg_logits.shape[:-1], 4, self.reg_max + 1)
        distances = bins.softmax(-1) @ self.project.to(bins.dtype)
        centers = points.centers / points.strides
        return torch.cat((centers - distances[..., :2], centers + distances[..., 2:]), -1)

    def get_scores_and_boxes(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Compute the predictions of all points.

        Args:
            feats: The neck's levels, ``(N, in_channels, H_i, W_i)`` each.

        Returns:
            Scores ``(N, P, num_classes)`` within 0 and 1, and boxes ``(N, P, 4)`` xyxy in input pixels, not clipped.
        """
        return self.scores_and_boxes_by_feat(*self(feats))

    def scores_and_boxes_by_feat(self, cls_maps: Sequence[Tensor], reg_maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Convert the output of :meth:`forward` to scores and boxes as in :meth:`get_scores_and_boxes`."""
        points = self.get_points(cls_maps)
        boxes = self.decode(_flatten_levels(reg_maps), points) * points.strides
        return self.to_scores(_flatten_levels(cls_maps)), boxes

    def to_scores(self, cls_output: Tensor) -> Tensor:
        """Convert the class maps of :meth:`forward`, joined to ``(N, P, num_classes)``, to scores between 0 and 1."""
        raise NotImplementedError

    def class_loss(
        self, cls_output: Tensor, positives: Positives, assignment: Assignment, gt: GroundTruth
    ) -> dict[str, Tensor]:
        """Compute the loss on the classes.

        Args:
            cls_output: The class maps of :meth:`forward`, ``(N, P, num_classes)``.
            positives: The positive points.
            assignment: The boxes and qualities of all points.
            gt: The boxes of the batch.
        """
        raise NotImplementedError

    def box_weights(self, cls_output: Tensor, positives: Positives) -> Tensor:
        """Return the weights ``(M,)`` of the positive points in the losses on boxes."""
        raise NotImplementedError

    @property
    def current_assigner(self) -> Assigner:
        """The assigner of this phase of the training."""
        assert self.assigner is not None, 'training needs a train_cfg with an assigner'
        return self.assigner

    def loss_by_feat(  # type: ignore[override]  # one map per level and output
        self,
        cls_maps: Sequence[Tensor],
        reg_maps: Sequence[Tensor],
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict[str, Any]],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch, once over all images and levels.

        Args:
            cls_maps: The class maps of :meth:`forward`, ``(N, num_classes, H_i, W_i)`` each.
            reg_maps: The distance logits, ``(N, 4 * (reg_max + 1), H_i, W_i)`` each.
            batch_gt_instances: For each image ``bboxes`` ``(n, 4)`` xyxy in input pixels and ``labels`` ``(n,)``.
            batch_img_metas: Not used: points in the padding are negatives like any other.
            batch_gt_instances_ignore: Not used: the original drops crowd boxes
                (docs/specification/picodet.md#data-pipeline).

        Returns:
            The loss on the classes, ``loss_bbox`` and ``loss_dfl``, scalars.
        """
        points = self.get_points(cls_maps)
        gt = GroundTruth.from_instances(batch_gt_instances)
        cls_output, reg_logits = (to_full_precision(_flatten_levels(maps)) for maps in (cls_maps, reg_maps))

        with torch.no_grad():
            boxes = self.decode(reg_logits, points) * points.strides
            assignment = self.current_assigner.assign(points, gt, self.to_scores(cls_output), boxes)
        positives = Positives.from_assignment(assignment, points, gt)
        at = positives.image, positives.point
        weights = self.box_weights(cls_output.detach(), positives)
        norm = reduce_mean(weights.sum()).clamp(min=1)
        return dict(
            **self.class_loss(cls_output, positives, assignment, gt),
            **self.box_losses(reg_logits[at], self.decode(reg_logits[at], positives.points), positives, weights, norm),
        )

    def box_losses(
        self, reg_logits: Tensor, boxes: Tensor, positives: Positives, weights: Tensor, norm: Tensor
    ) -> dict[str, Tensor]:
        """Compute the two losses on the boxes of the positives.

        Args:
            reg_logits: ``(M, 4 * (reg_max + 1))`` of the positives.
            boxes: ``(M, 4)`` decoded from them, in strides.
            positives: The positives.
            weights: Weights of the positives ``(M,)``.
            norm: Divisor of the weighted sums.

        Returns:
            ``loss_bbox`` and ``loss_dfl``.
        """
        centers = positives.points.centers / positives.points.strides
        targets = positives.targets
        distances = torch.cat((centers - targets[:, :2], targets[:, 2:] - centers), 1)
        distances = distances.clamp(0, self.reg_max - _DFL_MARGIN)
        return dict(
            loss_bbox=self.loss_bbox(boxes, targets, weight=weights, avg_factor=norm),
            loss_dfl=self.loss_dfl(
                reg_logits.reshape(-1, self.reg_max + 1),
                distances.flatten(),
                weight=weights[:, None].expand(-1, 4).flatten(),
                avg_factor=4 * norm,
            ),
        )

    def predict_by_feat(  # type: ignore[override]  # one map per level and output
        self,
        *outputs: Sequence[Tensor],
        batch_img_metas: list[dict[str, Any]],
        cfg: ConfigDict | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[InstanceData]:
        """Select the detections of each image.

        Args:
            outputs: The output of :meth:`forward`.
            batch_img_metas: For each image ``img_shape`` and, with ``rescale``, ``scale_factor``.
            cfg: Replaces ``test_cfg``.
            rescale: Whether boxes are returned in pixels of the original image.
            with_nms: Whether to run NMS and to keep only ``max_per_img`` boxes.

        Returns:
            For each image ``bboxes`` ``(n, 4)`` xyxy, ``scores`` ``(n,)`` and ``labels`` ``(n,)``.
        """
        cfg = self.test_cfg if cfg is None else cfg
        assert cfg is not None, 'prediction needs a test_cfg'
        level_sizes = [level.shape[-2:].numel() for level in outputs[0]]
        batch_scores, batch_boxes = self.scores_and_boxes_by_feat(*outputs)
        results = []
        for scores, boxes, img_meta in zip(batch_scores, batch_boxes, batch_img_metas, strict=True):
            kept = _top_points(scores.amax(1), level_sizes, cfg.get('nms_pre', -1))
            scores, boxes = scores[kept], boxes[kept]
            if self.clip_border:
                height, width = img_meta['img_shape'][:2]
                boxes = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))
            point, label = (scores > cfg.score_thr).nonzero(as_tuple=True)
            candidates = InstanceData(bboxes=boxes[point], scores=scores[point, label], labels=label)
            results.append(
                self._bbox_post_process(candidates, cfg, rescale=rescale, with_nms=with_nms, img_meta=img_meta)
            )
        return results


def _flatten_levels(maps: Sequence[Tensor]) -> Tensor:
    """Join levels ``(N, C, H_i, W_i)`` to ``(N, P, C)``, ordered as in :meth:`PicoDetBaseHead.get_points`."""
    return torch.cat([level.flatten(2) for level in maps], 2).transpose(1, 2)


def _top_points(scores: Tensor, level_sizes: Sequence[int], count: int) -> Tensor:
    """Return the indices of the ``count`` best points of each level, of all points if ``count`` is negative."""
    kept, start = [], 0
    for level in scores.split(list(level_sizes)):
        if 0 < count < len(level):
            kept.append(level.topk(count).indices + start)
        else:
            kept.append(torch.arange(start, start + len(level), device=scores.device))
        start += len(level)
    return torch.cat(kept)
