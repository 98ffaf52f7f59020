"""Losses that mmdet lacks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class ProbabilityVarifocalLoss(nn.Module):
    """Varifocal loss (https://arxiv.org/abs/2008.13367) on probabilities; mmdet's takes logits only.

    Positives are weighted by their target, negatives by ``alpha * p ** gamma``; the weights carry a gradient, as in the
    original. Source: PaddleDetection's ``VarifocalLoss`` with ``use_sigmoid: False``
    (docs/specification/picodet.md#losses).

    Args:
        alpha: Weight of the negatives.
        gamma: Exponent of their probability.
        loss_weight: Factor of the loss.
    """

    def __init__(self, alpha: float = 0.75, gamma: float = 2.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma
        self.loss_weight = loss_weight

    def forward(self, scores: Tensor, targets: Tensor, avg_factor: Tensor | float) -> Tensor:
        """Return the sum over all elements divided by ``avg_factor``.

        Args:
            scores: Probabilities, any shape.
            targets: Within 0 and 1, of the same shape.
            avg_factor: Divisor of the sum.
        """
        # PyTorch does not compute the cross-entropy of probabilities under autocast, because half precision is too
        # coarse.
        with torch.autocast(scores.device.type, enabled=False):
            scores, targets = to_full_precision(scores), to_full_precision(targets)
            weights = torch.where(targets > 0, targets, self.alpha * scores.pow(self.gamma))
            loss = weights * F.binary_cross_entropy(scores, targets, reduction='none')
            return self.loss_weight * loss.sum() / avg_factor


def to_full_precision(tensor: Tensor) -> Tensor:
    """Convert half precision to float32, for losses and scores that subtract nearly equal numbers."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
