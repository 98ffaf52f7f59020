"""Task-aligned assignment over a whole batch, as in the second generation of PicoDet."""

from __future__ import annotations

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from ..structures import Assignment, GroundTruth, Points
from .conflicts import resolve_among_all

# Smallest distance in pixels of a point inside a box from the sides
# (docs/specification/picodet.md#task-aligned).
_INSIDE_MARGIN = 1e-9


@TASK_UTILS.register_module()
class BatchTaskAlignedAssigner:
    """Task alignment (https://arxiv.org/abs/2108.07755) for all boxes of a batch in one pass.

    The metric of a point and a box is ``score ** alpha * IoU ** beta`` of the prediction at the point. Each box gets
    the ``topk`` points inside it with the largest metric. If a point has several boxes, it gets the one of all boxes of
    the image with the largest IoU. The quality is the metric, scaled so that the largest one of each box equals the
    largest IoU among its points.

    ``TaskAlignedAssigner`` of mmdet selects the top points before it drops those outside the box, and resolves
    conflicts only between the boxes that selected the point. Source: ``task_aligned_assigner.py`` of PaddleDetection
    (docs/specification/picodet.md#task-aligned).

    Args:
        topk: Number of points per box.
        alpha: Exponent of the score.
        beta: Exponent of the IoU.
        eps: Added to the divisor of the scaling.
    """

    def __init__(self, topk: int = 13, alpha: float = 1.0, beta: float = 6.0, eps: float = 1e-9) -> None:
        self.topk = topk
        self.alpha = alpha
        self.beta = beta
        self.eps = eps

    @torch.no_grad()
    def assign(self, points: Points, gt: GroundTruth, scores: Tensor, boxes: Tensor) -> Assignment:
        """Assign a box or the background to each point of each image.

        Args:
            points: The P points of an image.
            gt: The T boxes of the batch.
            scores: Predicted ``(N, P, num_classes)`` within 0 and 1.
            boxes: Predicted ``(N, P, 4)`` xyxy in input pixels.
        """
        num_images, num_points = scores.shape[:2]
        if len(gt.boxes) == 0:
            empty = scores.new_zeros(num_images, num_points)
            return Assignment(torch.full_like(empty, -1, dtype=torch.long), empty)

        # The metric is computed only for points inside a box, and stored in a dense matrix for topk.
        box, point = _inside_pairs(points, gt.boxes)
        image = gt.image_index[box]
        metric = scores.new_full((len(gt.boxes), num_points), -1.0)
        metric[box, point], _ = self._metric(scores, boxes, gt, image, point, box)
        best, chosen = metric.topk(min(self.topk, num_points), dim=1)
        box, rank = (best >= 0).nonzero(as_tuple=True)
        slot = gt.image_index[box] * num_points + chosen[box, rank]
        assigned = resolve_among_all(slot, box, boxes.flatten(0, 1), gt, num_images)

        image, point = (assigned >= 0).nonzero(as_tuple=True)
        box = assigned[image, point]
        value, overlap = self._metric(scores, boxes, gt, image, point, box)
        zeros = value.new_zeros(len(gt.boxes))
        largest = zeros.scatter_reduce(0, box, value, 'amax')
        largest_overlap = zeros.scatter_reduce(0, box, overlap, 'amax')
        quality = scores.new_zeros(num_images, num_points)
        quality[image, point] = value / (largest[box] + self.eps) * largest_overlap[box]
        return Assignment(assigned, quality)

    def _metric(
        self, scores: Tensor, boxes: Tensor, gt: GroundTruth, image: Tensor, point: Tensor, box: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the metric and the IoU of K triples of image, point and box, ``(K,)`` each."""
        overlap = bbox_overlaps(boxes[image, point], gt.boxes[box], is_aligned=True)
        score = scores[image, point, gt.labels[box]]
        return score.pow(self.alpha) * overlap.pow(self.beta), overlap


def _inside_pairs(points: Points, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pairs of a box and a point inside it, as indices ``(K,)`` into the T boxes and the P points."""
    inside: Tensor | None = None
    for axis in range(2):
        center = points.centers[:, axis]
        for distance in (center - boxes[:, axis, None], boxes[:, axis + 2, None] - center):
            closer = distance > _INSIDE_MARGIN
            inside = closer if inside is None else inside & closer
    assert inside is not None
    box, point = inside.nonzero(as_tuple=True)
    return box, point
