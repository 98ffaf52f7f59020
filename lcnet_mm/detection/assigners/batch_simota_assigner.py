"""SimOTA with a varifocal cost, as in the first released generation of PicoDet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from ..structures import Assignment, GroundTruth, Points
from .conflicts import resolve_among_claims

# Added to the cost of points outside the box or the square around its center
# (docs/specification/picodet.md#simota).
_OUTSIDE_COST = 1e8


@TASK_UTILS.register_module()
class BatchSimOTAAssigner:
    """SimOTA (https://arxiv.org/abs/2107.08430) whose cost is a varifocal loss and ``1 - GIoU``.

    The candidates of an image are the points inside a box or near the center of one. Each box gets the candidates of
    lowest cost, as many as the sum of its ten largest IoUs, at least one; of several boxes, a point gets the one of
    lowest cost. The cost of mmdet's ``SimOTAAssigner`` is a cross-entropy and ``-log(IoU)``. Source:
    PaddleDetection's ``simota_assigner.py`` (docs/specification/picodet.md#simota).

    Args:
        center_radius: Half the side of the square around a center, in strides.
        candidate_topk: Number of IoUs in the sum.
        iou_weight: Weight of ``1 - GIoU``.
        cls_weight: Weight of the varifocal loss.
        alpha: Weight of the negatives in the varifocal loss.
        gamma: Exponent of the probability of the negatives.
    """

    def __init__(
        self,
        center_radius: float = 2.5,
        candidate_topk: int = 10,
        iou_weight: float = 6.0,
        cls_weight: float = 1.0,
        alpha: float = 0.75,
        gamma: float = 2.0,
    ) -> None:
        self.center_radius = center_radius
        self.candidate_topk = candidate_topk
        self.iou_weight = iou_weight
        self.cls_weight = cls_weight
        self.alpha = alpha
        self.gamma = gamma

    @torch.no_grad()
    def assign(self, points: Points, gt: GroundTruth, scores: Tensor, boxes: Tensor) -> Assignment:
        """Assign a box or the background to each point of each image.

        Args:
            points: The P points of an image.
            gt: The T boxes of the batch.
            scores: Predicted ``(N, P, num_classes)`` within 0 and 1.
            boxes: Predicted ``(N, P, 4)`` xyxy in input pixels.

        Returns:
            The assignment; its quality is the IoU of the predicted boxes.
        """
        assigned = torch.full(scores.shape[:2], -1, dtype=torch.long, device=scores.device)
        # The number of candidates differs between images, and padding would cost more than the loop.
        for image in gt.image_index.unique().tolist():
            own = (gt.image_index == image).nonzero().squeeze(1)
            taken = self._assign_image(points, gt.boxes[own], gt.labels[own], scores[image], boxes[image])
            assigned[image] = torch.where(taken >= 0, own[taken.clamp(min=0)], -1)
        return Assignment.with_overlaps(assigned, gt, boxes)

    def _assign_image(
        self, points: Points, gt_boxes: Tensor, gt_labels: Tensor, scores: Tensor, boxes: Tensor
    ) -> Tensor:
        """Assign the points of one image and return indices into its boxes ``(P,)``."""
        in_box, in_square = self._find_inside(points, gt_boxes)
        candidates = (in_box | in_square).any(1).nonzero().squeeze(1)
        if len(candidates) == 0:
            return torch.full((len(scores),), -1, dtype=torch.long, device=scores.device)
        overlaps = bbox_overlaps(boxes[candidates], gt_boxes)
        giou = bbox_overlaps(boxes[candidates], gt_boxes, mode='giou', eps=1e-10)
        cost = self.cls_weight * self._class_cost(scores[candidates], gt_labels, overlaps)
        cost += self.iou_weight * (1 - giou)
        cost += _OUTSIDE_COST * ~(in_box & in_square)[candidates]

        top = overlaps.topk(min(self.candidate_topk, len(candidates)), dim=0).values
        counts = top.sum(0).int().clamp(min=1)
        order = cost.argsort(0).argsort(0)
        row, box = (order < counts).nonzero(as_tuple=True)
        # The box of lowest cost, the first of equal ones.
        claims = resolve_among_claims(row, box, cost.max() - cost[row, box], len(candidates))
        contested = torch.zeros_like(claims).scatter_add(0, row, torch.ones_like(row)) > 1
        claims = torch.where(contested, cost.argmin(1), claims)
        assigned = torch.full((len(scores),), -1, dtype=torch.long, device=scores.device)
        assigned[candidates] = claims
        return assigned

    def _find_inside(self, points: Points, gt_boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return whether points lie inside boxes, and inside the squares around their centers: ``(P, G)`` each."""
        centers = points.centers[:, None]
        box_centers = (gt_boxes[:, :2] + gt_boxes[:, 2:]) / 2
        in_box = torch.cat((centers - gt_boxes[:, :2], gt_boxes[:, 2:] - centers), -1).amin(-1) > 0
        distance = (centers - box_centers).abs().amax(-1)
        return in_box, distance < self.center_radius * points.strides

    def _class_cost(self, scores: Tensor, gt_labels: Tensor, overlaps: Tensor) -> Tensor:
        """Compute the varifocal loss of K candidates against each of G boxes ``(K, G)``.

        The sum over all classes as negatives does not depend on the box, so it is computed once.
        """
        scores = scores.clamp(1e-12, 1 - 1e-7)
        negative = self.alpha * scores.pow(self.gamma) * -torch.log1p(-scores)
        own = scores[:, gt_labels]
        entropy = F.binary_cross_entropy(own, overlaps.clamp(0, 1), reduction='none')
        positive = torch.where(overlaps > 0, overlaps * entropy, negative[:, gt_labels])
        return negative.sum(1, keepdim=True) - negative[:, gt_labels] + positive
