"""Cross entropy on the hardest pixels, as PaddleSeg averages it."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional

from ..backbones.base import check_integer, check_positive

# docs/specification/mobileseg.md#loss; it keeps a batch without kept pixels from a division by 0.
_EPSILON = 1e-5


@MODELS.register_module()
class HardPixelCrossEntropyLoss(nn.Module):
    """Mean cross entropy of the pixels whose own class has a low probability.

    A pixel counts if that probability is below ``thresh``, or below that of the ``min_kept``-th hardest pixel where
    this is higher; if a batch has at most ``min_kept`` labeled pixels, all count. mmseg's ``OHEMPixelSampler`` and
    PaddleSeg choose the same pixels but for ties, but mmseg divides by the number of all pixels, and its
    ``OhemCrossEntropy`` gives NaN where all probabilities are equal. Source: docs/specification/mobileseg.md#loss.

    Args:
        thresh: Probability above which a pixel is easy.
        min_kept: Pixels of a batch that count at least.
        loss_weight: Factor of the loss.
        loss_name: Its name in the logs; a loss counts if the name begins with ``loss_``.

    Shapes:
        logits ``(N, C, H, W)`` and labels ``(N, H, W)`` to a scalar.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it, what it was and what is allowed.
    """

    def __init__(
        self, thresh: float = 0.7, min_kept: int = 10000, loss_weight: float = 1.0, loss_name: str = 'loss_ohem'
    ) -> None:
        super().__init__()
        self.thresh = check_positive('thresh', thresh)
        self.min_kept = check_integer('min_kept', min_kept, 1)
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None, ignore_index: int = 255
    ) -> Tensor:
        """Compute the loss.

        Args:
            cls_score: Logits ``(N, C, H, W)``.
            label: ``(N, H, W)``.
            weight: Of each pixel ``(N, H, W)``, as a pixel sampler gives it.
            ignore_index: The label of pixels without a class.
        """
        # Ranks of the half precisions of AMP would be ties.
        if cls_score.dtype in (torch.float16, torch.bfloat16):
            cls_score = cls_score.float()
        loss = functional.cross_entropy(cls_score, label, ignore_index=ignore_index, reduction='none')
        kept = self.hard_pixels(loss.detach(), label != ignore_index)
        if weight is not None:
            loss = loss * weight
        mean = (loss * kept).mean() / (kept.to(loss.dtype).mean() + _EPSILON)
        return self.loss_weight * mean

    @torch.no_grad()
    def hard_pixels(self, loss: Tensor, labeled: Tensor) -> Tensor:
        """Return which pixels count, ``(N, H, W)``, from the cross entropy of each and whether it has a class."""
        if self.min_kept >= int(labeled.sum()):
            return labeled
        # The cross entropy is minus the logarithm of the probability of the pixel's own class.
        probability = torch.exp(-loss)
        hardest = probability[labeled].kthvalue(self.min_kept).values
        return labeled & (probability < hardest.clamp(min=self.thresh))
