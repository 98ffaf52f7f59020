"""Cross entropy with class weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional


@MODELS.register_module()
class ClassWeightedCrossEntropyLoss(nn.Module):
    """Cross entropy with class weights, averaged over the pixels that have a class by these weights.

    ``CrossEntropyLoss`` of mmseg with ``class_weight`` also looks up the weight of the ignored label, and fails on
    every label map that contains it.

    Args:
        class_weight: Weight of each class.
        loss_weight: Factor of the loss.
        loss_name: Name in the logs; mmengine adds up the losses whose names begin with ``loss_``.

    Shapes:
        logits ``(N, C, H, W)`` and labels ``(N, H, W)`` to a scalar.
    """

    class_weight: Tensor

    def __init__(self, class_weight: Sequence[float], loss_weight: float = 1.0, loss_name: str = 'loss_ce') -> None:
        super().__init__()
        self.register_buffer('class_weight', torch.tensor(class_weight, dtype=torch.float32), persistent=False)
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None, ignore_index: int = 255
    ) -> Tensor:
        """Compute the loss.

        Args:
            cls_score: Logits ``(N, C, H, W)``.
            label: ``(N, H, W)``.
            weight: Weight of each pixel ``(N, H, W)``, from a pixel sampler.
            ignore_index: Label of pixels without a class.
        """
        if cls_score.shape[1] != len(self.class_weight):
            raise ValueError(
                f'class_weight has {len(self.class_weight)} weights, but the head has {cls_score.shape[1]} classes'
            )
        loss = functional.cross_entropy(
            cls_score, label, self.class_weight, ignore_index=ignore_index, reduction='none'
        )
        if weight is not None:
            loss = loss * weight
        labeled = label != ignore_index
        total = self.class_weight[label[labeled]].sum()
        return self.loss_weight * loss.sum() / total.clamp(min=torch.finfo(total.dtype).tiny)
