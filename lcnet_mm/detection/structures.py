"""What heads and assigners exchange: the points of the levels and the boxes of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
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
    """Which box each point of each image learns.

    Attributes:
        gt_index: ``(N, P)`` indices into the boxes of the batch, -1 for the background.
        quality: ``(N, P)`` the target of the score of the box's class, 0 at the background.
    """

    gt_index: Tensor
    quality: Tensor
