"""Who gets a point that several boxes want."""

from __future__ import annotations

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from ..structures import GroundTruth


def resolve_among_claims(slot: Tensor, box: Tensor, value: Tensor, num_slots: int) -> Tensor:
    """Give each slot to the claim with the largest value, of equal ones to the first box.

    Args:
        slot: ``(K,)`` wanted places, ``image * P + point``.
        box: ``(K,)`` the boxes that want them.
        value: ``(K,)`` not negative.
        num_slots: N * P.

    Returns:
        ``(num_slots,)`` boxes, -1 where there is no claim.
    """
    best = value.new_zeros(num_slots).scatter_reduce(0, slot, value, 'amax')
    wins = value == best[slot]
    # The smallest index, whatever the order in which a device scatters.
    nobody = torch.iinfo(torch.long).max
    first = torch.full((num_slots,), nobody, device=slot.device).scatter_reduce(0, slot[wins], box[wins], 'amin')
    return torch.where(first < nobody, first, -1)


def resolve_among_all(slot: Tensor, box: Tensor, regions: Tensor, gt: GroundTruth, num_images: int) -> Tensor:
    """Give a slot to its only claim, and one with several to the box of its image whose IoU with its region is largest.

    Args:
        slot: ``(K,)`` wanted places, ``image * P + point``.
        box: ``(K,)`` the boxes that want them.
        regions: ``(N * P, 4)`` xyxy, what stands at the slots: cells or predicted boxes.
        gt: The boxes of the batch.
        num_images: N.

    Returns:
        ``(N, P)`` boxes, -1 where there is no claim.
    """
    assigned = torch.full((len(regions),), -1, dtype=torch.long, device=slot.device)
    assigned[slot] = box
    contested = torch.zeros_like(assigned).scatter_add(0, slot, torch.ones_like(slot)) > 1
    places = contested.nonzero().squeeze(1)
    per_image = len(regions) // num_images
    # Image by image: over the whole batch the matrix of contested places and boxes would mostly be empty.
    for image in (places // per_image).unique().tolist():
        here = places[places // per_image == image]
        own = (gt.image_index == image).nonzero().squeeze(1)
        assigned[here] = own[bbox_overlaps(regions[here], gt.boxes[own]).argmax(1)]
    return assigned.view(num_images, per_image)
