"""What the heads of all PicoDet generations share: the points, the decoding, the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.task_modules import MlvlPointGenerator
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...backbones.layers import Config, DepthwiseSeparable
from ..structures import GroundTruth, Points

# Position of a point inside its cell, as a fraction of the stride; the same in all generations
# (docs/specification/picodet.md#common).
CELL_OFFSET = 0.5

# Targets of the distributions stay this far below reg_max, so that their right bin always exists
# (docs/specification/picodet.md#losses).
DFL_MARGIN = 0.1


class Positives(NamedTuple):
    """The points of a batch that a box was assigned to.

    Attributes:
        image: ``(M,)`` the image of each.
        point: ``(M,)`` its index among the points.
        box: ``(M,)`` the index of its box in the batch's list.
        points: The M points themselves.
        targets: ``(M, 4)`` their boxes xyxy in strides of the point.
    """

    image: Tensor
    point: Tensor
    box: Tensor
    points: Points
    targets: Tensor

    @classmethod
    def from_assigned(cls, assigned: Tensor, points: Points, gt: GroundTruth) -> Positives:
        """Collect the positives of ``(N, P)`` indices into the boxes, of which -1 means none."""
        image, point = (assigned >= 0).nonzero(as_tuple=True)
        box = assigned[image, point]
        own = Points(points.centers[point], points.strides[point], [])
        return cls(image, point, box, own, gt.boxes[box] / own.strides)


class PicoDetBaseHead(BaseDenseHead):
    """Base of the PicoDet heads: a depthwise tower per level and boxes as four distributions of distances.

    Nothing is shared between the levels, and no scale is learned (docs/specification/picodet.md#common).
    A generation adds its predictors, its scores and its losses.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of every level, and of the towers.
        num_convs: Pairs of depthwise and pointwise convolutions in a tower.
        kernel_size: Side of the depthwise kernels.
        strides: Strides of the levels in input pixels.
        reg_max: Distances are expectations over 0 … ``reg_max`` strides.
        norm_cfg: mm config of the norms.
        act_cfg: mm config of the activations.
        loss_bbox: Loss on the boxes of the positives, in strides.
        loss_dfl: Distribution focal loss on their distances.
        train_cfg: Has what the generation assigns boxes with.
        test_cfg: Has ``nms_pre`` (points kept per level, by their best score), ``score_thr``, ``nms`` and
            ``max_per_img``.
        init_cfg: mm config of the initialisation.

    Attributes:
        clip_border: Whether predicted boxes are clipped to the image before NMS.
    """

    clip_border = False

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_convs: int,
        kernel_size: int,
        strides: Sequence[int],
        reg_max: int,
        norm_cfg: Config,
        act_cfg: Config,
        loss_bbox: Config,
        loss_dfl: Config,
        train_cfg: Config | None,
        test_cfg: ConfigDict | None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.strides = tuple(strides)
        self.reg_max = reg_max
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg
        self.prior_generator = MlvlPointGenerator(list(self.strides), offset=CELL_OFFSET)
        self.loss_bbox = MODELS.build(loss_bbox)
        self.loss_dfl = MODELS.build(loss_dfl)
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
        """Channels of a box: four sides of ``reg_max + 1`` bins each."""
        return 4 * (self.reg_max + 1)

    def get_points(self, maps: Sequence[Tensor]) -> Points:
        """Return the points of levels shaped ``(N, *, H_i, W_i)``."""
        grids = self.prior_generator.grid_priors(
            [level.shape[-2:] for level in maps], device=maps[0].device, with_stride=True
        )
        points = torch.cat(grids)
        return Points(points[:, :2], points[:, 2:3], [len(grid) for grid in grids])

    def decode(self, reg_logits: Tensor, points: Points) -> Tensor:
        """Turn distributions into boxes.

        Args:
            reg_logits: ``(..., P, 4 * (reg_max + 1))``, sides in the order left, top, right, bottom.
            points: The P points.

        Returns:
            Boxes ``(..., P, 4)`` xyxy **in strides** of their point; times ``points.strides`` they are input pixels.
        """
        bins = reg_logits.unflatten(-1, (4, self.reg_max + 1))
        distances = bins.softmax(-1) @ self.project.to(bins.dtype)
        centers = points.centers / points.strides
        return torch.cat((centers - distances[..., :2], centers + distances[..., 2:]), -1)

    def get_scores_and_boxes(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Compute the prediction before any selection.

        Args:
            feats: The neck's levels, ``(N, in_channels, H_i, W_i)`` each.

        Returns:
            Scores ``(N, P, num_classes)`` within 0 and 1, and boxes ``(N, P, 4)`` xyxy in input pixels, not clipped.
        """
        return self.scores_and_boxes_by_feat(*self(feats))

    def scores_and_boxes_by_feat(self, *outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Turn what :meth:`forward` returns into scores and boxes as in :meth:`get_scores_and_boxes`."""
        raise NotImplementedError

    def box_losses(
        self, reg_logits: Tensor, boxes: Tensor, positives: Positives, weights: Tensor, norm: Tensor
    ) -> dict[str, Tensor]:
        """Compute the two losses on the boxes of the positives.

        Args:
            reg_logits: ``(M, 4 * (reg_max + 1))`` of the positives.
            boxes: ``(M, 4)`` decoded from them, in strides.
            positives: The positives.
            weights: ``(M,)``.
            norm: What the weighted sums are divided by.

        Returns:
            ``loss_bbox`` and ``loss_dfl``.
        """
        centers = positives.points.centers / positives.points.strides
        targets = positives.targets
        distances = torch.cat((centers - targets[:, :2], targets[:, 2:] - centers), 1)
        distances = distances.clamp(0, self.reg_max - DFL_MARGIN)
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
            outputs: What :meth:`forward` returns.
            batch_img_metas: Has ``img_shape`` and, with ``rescale``, ``scale_factor``.
            cfg: Replaces ``test_cfg``.
            rescale: Whether boxes are returned in pixels of the original image.
            with_nms: Whether to suppress overlaps and to keep ``max_per_img`` boxes only.

        Returns:
            For each image ``bboxes`` ``(n, 4)`` xyxy, ``scores`` ``(n,)`` and ``labels`` ``(n,)``.
        """
        cfg = self.test_cfg if cfg is None else cfg
        assert cfg is not None, 'prediction needs a test_cfg'
        level_sizes = [level.shape[-2:].numel() for level in outputs[0]]
        batch_scores, batch_boxes = self.scores_and_boxes_by_feat(*outputs)
        results = []
        for scores, boxes, img_meta in zip(batch_scores, batch_boxes, batch_img_metas, strict=True):
            kept = top_points(scores.amax(1), level_sizes, cfg.get('nms_pre', -1))
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


def flatten_levels(maps: Sequence[Tensor]) -> Tensor:
    """Join levels ``(N, C, H_i, W_i)`` to ``(N, P, C)``, point after point as in :meth:`PicoDetBaseHead.get_points`."""
    return torch.cat([level.flatten(2) for level in maps], 2).transpose(1, 2)


def top_points(scores: Tensor, level_sizes: Sequence[int], count: int) -> Tensor:
    """Return the indices of the ``count`` best points of each level; all of a smaller level or for a negative count."""
    kept, start = [], 0
    for level in scores.split(list(level_sizes)):
        if 0 < count < len(level):
            kept.append(level.topk(count).indices + start)
        else:
            kept.append(torch.arange(start, start + len(level), device=scores.device))
        start += len(level)
    return torch.cat(kept)
