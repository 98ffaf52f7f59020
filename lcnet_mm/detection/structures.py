"""Data passed between heads and assigners, and the protocol of assigners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor


class Points(NamedTuple):
    """The points of all levels, finest level first.

    Attributes:
        centers: ``(P, 2)`` x and y in input pixels.
        strides: ``(P, 1)`` in input pixels.
        level_sizes: Number of points of each level; they add up to P.
    """

    centers: Tensor
    strides: Tensor
    level_sizes: list[int]


class GroundTruth(NamedTuple):
    """The boxes of a whole batch in one list.

    Attributes:
        boxes: ``(T, 4)`` xyxy in input pixels.
        labels: ``(T,)`` class indices.
        image_index: ``(T,)`` the image that a box belongs to.
    """

    boxes: Tensor
    labels: Tensor
    image_index: Tensor

    @classmethod
    def from_instances(cls, instances: Sequence[Any]) -> GroundTruth:
        """Concatenate the instances of the images of a batch."""
        counts = torch.tensor([len(one.labels) for one in instances])
        labels = torch.cat([one.labels for one in instances])
        return cls(
            torch.cat([one.bboxes for one in instances]),
            labels,
            torch.repeat_interleave(torch.arange(len(instances)), counts).to(labels.device),
        )


class Assignment(NamedTuple):
    """The boxes that the points of a batch were assigned to.

    Attributes:
        gt_index: ``(N, P)`` indices into the boxes of the batch, -1 for the background.
        quality: ``(N, P)`` the target of the score of the box's class, 0 at the background.
    """

    gt_index: Tensor
    quality: Tensor

    @classmethod
    def with_overlaps(cls, gt_index: Tensor, gt: GroundTruth, boxes: Tensor) -> Assignment:
        """Return an assignment whose quality is the IoU of the predicted boxes with the assigned ones.

        Args:
            gt_index: ``(N, P)`` indices into the T boxes, -1 for the background.
            gt: The boxes of the batch.
            boxes: Predicted ``(N, P, 4)`` xyxy in input pixels.
        """
        image, point = (gt_index >= 0).nonzero(as_tuple=True)
        quality = boxes.new_zeros(gt_index.shape)
        quality[image, point] = bbox_overlaps(boxes[image, point], gt.boxes[gt_index[image, point]], is_aligned=True)
        return cls(gt_index, quality)


class Assigner(Protocol):
    """The protocol of all assigners: one call for the whole batch."""

    def assign(self, points: Points, gt: GroundTruth, scores: Tensor, boxes: Tensor) -> Assignment:
        """Assign a box or the background to each point of each image.

        Args:
            points: The P points of an image.
            gt: The T boxes of the batch.
            scores: Predicted ``(N, P, num_classes)`` within 0 and 1.
            boxes: Predicted ``(N, P, 4)`` xyxy in input pixels.

        Returns:
            The box and the quality of each point.
        """
