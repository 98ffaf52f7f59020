"""Resolve conflicts between boxes that claim the same point."""

from __future__ import annotations

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from ..structures import GroundTruth


def resolve_among_claims(slot: Tensor, box: Tensor, value: Tensor, num_slots: int) -> Tensor:
    """Assign each slot to the claiming box with the largest value, the first of equal ones.

    Args:
        slot: ``(K,)`` claimed slots, ``image * P + point``.
        box: ``(K,)`` boxes that claim them.
        value: ``(K,)`` non-negative values of the claims.
        num_slots: N * P.

    Returns:
        ``(num_slots,)`` indices of boxes, -1 without a claim.
    """
    best = value.new_zeros(num_slots).scatter_reduce(0, slot, value, 'amax')
    wins = value == best[slot]
    # The smallest index, so that the result does not depend on the order of scattering.
    nobody = torch.iinfo(torch.long).max
    first = torch.full((num_slots,), nobody, device=slot.device).scatter_reduce(0, slot[wins], box[wins], 'amin')
    return torch.where(first < nobody, first, -1)


def resolve_among_all(slot: Tensor, box: Tensor, regions: Tensor, gt: GroundTruth, num_images: int) -> Tensor:
    """Assign each slot to its only claim, or of several, to the box of its image with the largest IoU with its region.

    Args:
        slot: ``(K,)`` claimed slots, ``image * P + point``.
        box: ``(K,)`` boxes that claim them.
        regions: ``(N * P, 4)`` xyxy, cells or predicted boxes of all slots.
        gt: The boxes of the batch.
        num_images: N.

    Returns:
        ``(N, P)`` indices of boxes, -1 without a claim.
    """
    assigned = torch.full((len(regions),), -1, dtype=torch.long, device=slot.device)
    assigned[slot] = box
    contested = torch.zeros_like(assigned).scatter_add(0, slot, torch.ones_like(slot)) > 1
    places = contested.nonzero().squeeze(1)
    per_image = len(regions) // num_images
    # Per image: most pairs of contested slots and boxes of a whole batch would be from different images.
    for image in (places // per_image).unique().tolist():
        here = places[places // per_image == image]
        own = (gt.image_index == image).nonzero().squeeze(1)
        assigned[here] = own[bbox_overlaps(regions[here], gt.boxes[own]).argmax(1)]
    return assigned.view(num_images, per_image)
