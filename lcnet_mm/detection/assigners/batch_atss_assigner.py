"""ATSS over a whole batch, as the first public generation of PicoDet used it."""

from __future__ import annotations

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from ..structures import GroundTruth, Points

# A point counts as inside a box when it is farther than this from every side, in pixels (picodet.md §4.4).
INSIDE_MARGIN = 0.01


@TASK_UTILS.register_module()
class BatchATSSAssigner:
    """Adaptive training sample selection (https://arxiv.org/abs/1912.02424) for all boxes of a batch in one pass.

    For each box the ``topk`` points of every level that are nearest to its centre are candidates. Around each stands a
    square cell; candidates whose cell's IoU with the box reaches the mean plus the standard deviation of all its
    candidates, and which lie inside the box, are positive. A point wanted by several boxes goes to the one with the
    largest cell IoU.

    It differs from mmdet's ``ATSSAssigner`` as the original does: the deviation is the population's (ddof 0), the cells
    have ``cell_scale`` strides. And it never builds a points x boxes matrix per image: boxes of all images stand in one
    list, so there is no padding and no loop; only the distances take ``(T, P)`` floats. Source: PaddleDetection's
    ``Gt2GFLTarget`` (picodet.md §4.4).

    Args:
        topk: Candidates per box and level; a smaller level gives all its points.
        cell_scale: Side of a cell in strides.
    """

    def __init__(self, topk: int = 9, cell_scale: float = 5.0) -> None:
        self.topk = topk
        self.cell_scale = cell_scale

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
        centers, half = points.centers[candidates], points.strides[candidates] * self.cell_scale / 2
        boxes = gt.boxes[:, None]
        overlaps = bbox_overlaps(torch.cat((centers - half, centers + half), -1), boxes)[..., 0]
        thresholds = overlaps.mean(1, keepdim=True) + overlaps.std(1, keepdim=True, correction=0)
        to_sides = torch.cat((centers - boxes[..., :2], boxes[..., 2:] - centers), -1)
        positive = (overlaps >= thresholds) & (to_sides.amin(-1) > INSIDE_MARGIN)

        box, rank = positive.nonzero(as_tuple=True)
        overlaps = overlaps[box, rank]
        slot = gt.image_index[box] * num_points + candidates[box, rank]
        best = overlaps.new_zeros(assigned.shape).scatter_reduce(0, slot, overlaps, 'amax')
        wins = overlaps == best[slot]
        # Of equal overlaps the first box wins, whatever the order in which a device scatters.
        first = torch.full_like(assigned, len(gt.boxes)).scatter_reduce(0, slot[wins], box[wins], 'amin')
        return torch.where(first < len(gt.boxes), first, assigned).view(num_images, num_points)

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
