"""ATSS over a whole batch, as used by the PicoDet generations."""

from __future__ import annotations

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from ..structures import Assignment, GroundTruth, Points
from .conflicts import resolve_among_all, resolve_among_claims


@TASK_UTILS.register_module()
class BatchATSSAssigner:
    """Adaptive training sample selection (https://arxiv.org/abs/1912.02424) for all boxes of a batch in one pass.

    For each box the ``topk`` points of every level that are nearest to its center are candidates, each with a square
    cell around it. Candidates inside the box whose cell has an IoU with the box of at least the mean plus the standard
    deviation of all candidates are positive. Of several boxes, a point gets the one with the largest cell IoU.

    The boxes of all images are in one list, so there is no padding and no loop over images; only the distances take
    ``(T, P)`` floats. The defaults are PaddleDetection's ``Gt2GFLTarget`` of 2021
    (docs/specification/picodet.md#atss-generation-0). Its ``ATSSAssigner`` of release 2.4 differs in four of the
    arguments (docs/specification/picodet.md#atss-generation-2). That of mmdet has the unbiased deviation and otherwise
    the defaults.

    Args:
        topk: Number of candidates per box and level; all points of a smaller level.
        cell_scale: Side of a cell in strides.
        inclusive: Whether an IoU equal to the threshold is positive.
        unbiased: Whether the threshold uses the unbiased standard deviation.
        inside_margin: Smallest distance in pixels of a point from the sides of the box.
        conflicts: Which box gets a point that is positive for several boxes: the one of these with the largest cell
            IoU (``'claims'``), or the one of all boxes of the image (``'all'``).

    Raises:
        ValueError: ``conflicts`` is neither of the two.
    """

    def __init__(
        self,
        topk: int = 9,
        cell_scale: float = 5.0,
        inclusive: bool = True,
        unbiased: bool = False,
        inside_margin: float = 0.01,
        conflicts: str = 'claims',
    ) -> None:
        if conflicts not in ('claims', 'all'):
            raise ValueError(f"conflicts must be 'claims' or 'all', got {conflicts!r}")
        self.topk = topk
        self.cell_scale = cell_scale
        self.inclusive = inclusive
        self.unbiased = unbiased
        self.inside_margin = inside_margin
        self.conflicts = conflicts

    @torch.no_grad()
    def assign(self, points: Points, gt: GroundTruth, scores: Tensor, boxes: Tensor) -> Assignment:
        """Assign a box or the background to each point of each image.

        Args:
            points: The P points of an image.
            gt: The T boxes of the batch.
            scores: ``(N, P, num_classes)``, not used.
            boxes: Predicted ``(N, P, 4)`` xyxy in input pixels, used only for the quality.

        Returns:
            The assignment; its quality is the IoU of the predicted boxes.
        """
        return Assignment.with_overlaps(self._assign_points(points, gt, len(boxes)), gt, boxes)

    def _assign_points(self, points: Points, gt: GroundTruth, num_images: int) -> Tensor:
        """Return ``(num_images, P)`` indices into the boxes, -1 for the background."""
        num_points = len(points.centers)
        assigned = torch.full((num_images * num_points,), -1, dtype=torch.long, device=points.centers.device)
        if len(gt.boxes) == 0:
            return assigned.view(num_images, num_points)

        candidates = self._select_candidates(points, gt.boxes)
        boxes = gt.boxes[:, None]
        cells = _make_cells(points, self.cell_scale)
        overlaps = bbox_overlaps(cells[candidates], boxes)[..., 0]
        deviations = overlaps.std(1, keepdim=True, correction=1 if self.unbiased else 0)
        thresholds = overlaps.mean(1, keepdim=True) + deviations
        above = overlaps >= thresholds if self.inclusive else overlaps > thresholds
        centers = points.centers[candidates]
        to_sides = torch.cat((centers - boxes[..., :2], boxes[..., 2:] - centers), -1).amin(-1)

        box, rank = (above & (to_sides > self.inside_margin)).nonzero(as_tuple=True)
        slot = gt.image_index[box] * num_points + candidates[box, rank]
        if self.conflicts == 'all':
            return resolve_among_all(slot, box, cells.repeat(num_images, 1), gt, num_images)
        return resolve_among_claims(slot, box, overlaps[box, rank], len(assigned)).view(num_images, num_points)

    def _select_candidates(self, points: Points, boxes: Tensor) -> Tensor:
        """Return ``(T, K)`` indices of the nearest points of every level to the boxes' centers."""
        box_centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        selected, start = [], 0
        for size in points.level_sizes:
            level = points.centers[start : start + size]
            # The faster mode subtracts squares, and its rounding would change the order of equally distant points.
            distances = torch.cdist(box_centers, level, compute_mode='donot_use_mm_for_euclid_dist')
            selected.append(distances.topk(min(self.topk, size), largest=False).indices + start)
            start += size
        return torch.cat(selected, 1)


def _make_cells(points: Points, scale: float) -> Tensor:
    """Return squares ``(P, 4)`` xyxy of ``scale`` strides around the points, in input pixels."""
    half = points.strides * scale / 2
    return torch.cat((points.centers - half, points.centers + half), 1)
