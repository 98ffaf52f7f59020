"""ATSS over a whole batch, as PicoDet's generations used it."""

from __future__ import annotations

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from ..structures import Assignment, GroundTruth, Points
from .conflicts import resolve_among_all, resolve_among_claims

# A point counts as inside a box when it is farther than this from every side, in pixels
# (docs/specification/picodet.md#atss-generation-0, docs/specification/picodet.md#atss-generation-2).
INSIDE_MARGIN = 0.01
STRICT_INSIDE_MARGIN = 1e-9


@TASK_UTILS.register_module()
class BatchATSSAssigner:
    """Adaptive training sample selection (https://arxiv.org/abs/1912.02424) for all boxes of a batch in one pass.

    For each box the ``topk`` points of every level that are nearest to its centre are candidates. Around each stands a
    square cell; candidates whose cell's IoU with the box reaches the mean plus the standard deviation of all its
    candidates, and which lie inside the box, are positive. A point wanted by several boxes goes to the one with the
    largest cell IoU.

    It never builds a points x boxes matrix per image: the boxes of all images stand in one list, so there is no padding
    and no loop; only the distances take ``(T, P)`` floats. The defaults are PaddleDetection's ``Gt2GFLTarget`` (2021);
    ``strict=True`` is its ``ATSSAssigner`` of PicoDet's second generation
    (docs/specification/picodet.md#atss-generation-0, docs/specification/picodet.md#atss-generation-2).
    mmdet's differs from both: unbiased deviation with the first one's other rules.

    Args:
        topk: Candidates per box and level; a smaller level gives all its points.
        cell_scale: Side of a cell in strides.
        strict: Whether the IoU must exceed the threshold, which then has the unbiased deviation, the least distance to
            a side is 1e-9 instead of 0.01 pixels, and a point wanted by several boxes goes to the one of all boxes of
            the image, wanting it or not, with the largest cell IoU.
    """

    def __init__(self, topk: int = 9, cell_scale: float = 5.0, strict: bool = False) -> None:
        self.topk = topk
        self.cell_scale = cell_scale
        self.strict = strict

    @torch.no_grad()
    def assign(self, points: Points, gt: GroundTruth, num_images: int) -> Tensor:
        """Assign a box or the background to each point of each image.

        Args:
            points: The P points of an image.
            gt: The T boxes of the batch.
            num_images: N.

        Returns:
            ``(N, P)`` indices into the T boxes, -1 for the background.
        """
        num_points = len(points.centers)
        assigned = torch.full((num_images * num_points,), -1, dtype=torch.long, device=points.centers.device)
        if len(gt.boxes) == 0:
            return assigned.view(num_images, num_points)

        candidates = self.select_candidates(points, gt.boxes)
        boxes = gt.boxes[:, None]
        cells = make_cells(points, self.cell_scale)
        overlaps = bbox_overlaps(cells[candidates], boxes)[..., 0]
        deviations = overlaps.std(1, keepdim=True, correction=1 if self.strict else 0)
        thresholds = overlaps.mean(1, keepdim=True) + deviations
        centers = points.centers[candidates]
        to_sides = torch.cat((centers - boxes[..., :2], boxes[..., 2:] - centers), -1).amin(-1)
        if self.strict:
            positive = (overlaps > thresholds) & (to_sides > STRICT_INSIDE_MARGIN)
        else:
            positive = (overlaps >= thresholds) & (to_sides > INSIDE_MARGIN)

        box, rank = positive.nonzero(as_tuple=True)
        slot = gt.image_index[box] * num_points + candidates[box, rank]
        if self.strict:
            return resolve_among_all(slot, box, cells.repeat(num_images, 1), gt, num_images)
        return resolve_among_claims(slot, box, overlaps[box, rank], len(assigned)).view(num_images, num_points)

    @torch.no_grad()
    def assign_with_quality(self, points: Points, gt: GroundTruth, scores: Tensor, boxes: Tensor) -> Assignment:
        """Assign, and take the IoU of the predicted boxes as the quality.

        Args:
            points: The P points of an image.
            gt: The T boxes of the batch.
            scores: ``(N, P, num_classes)``, not looked at.
            boxes: Predicted ``(N, P, 4)`` xyxy in input pixels.
        """
        assigned = self.assign(points, gt, len(boxes))
        image, point = (assigned >= 0).nonzero(as_tuple=True)
        quality = boxes.new_zeros(assigned.shape)
        quality[image, point] = bbox_overlaps(boxes[image, point], gt.boxes[assigned[image, point]], is_aligned=True)
        return Assignment(assigned, quality)

    def select_candidates(self, points: Points, boxes: Tensor) -> Tensor:
        """Return ``(T, K)`` indices of the nearest points of every level to the boxes' centres."""
        box_centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        selected, start = [], 0
        for size in points.level_sizes:
            level = points.centers[start : start + size]
            # The faster mode subtracts squares, and its rounding would reorder points that are equally far.
            distances = torch.cdist(box_centers, level, compute_mode='donot_use_mm_for_euclid_dist')
            selected.append(distances.topk(min(self.topk, size), largest=False).indices + start)
            start += size
        return torch.cat(selected, 1)


def make_cells(points: Points, scale: float) -> Tensor:
    """Squares ``(P, 4)`` xyxy of ``scale`` strides around the points, in input pixels."""
    half = points.strides * scale / 2
    return torch.cat((points.centers - half, points.centers + half), 1)
