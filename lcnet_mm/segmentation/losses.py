"""Cross entropy with class weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional


@MODELS.register_module()
class ClassWeightedCrossEntropyLoss(nn.Module):
    """Cross entropy with a weight for each class, averaged over the weights of the pixels that have a class.

    mmseg's ``CrossEntropyLoss`` with ``class_weight`` looks the weight of the ignored label up too, and fails on every
    map that has it.

    Args:
        class_weight: One weight for each class.
        loss_weight: Factor of the loss.
        loss_name: Its name in the logs; a loss counts if the name begins with ``loss_``.

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
            weight: Of each pixel ``(N, H, W)``, as a pixel sampler gives it.
            ignore_index: The label of pixels without a class.
        """
        if cls_score.shape[1] != len(self.class_weight):
            raise ValueError(
                f'class_weight has {len(self.class_weight)} weights, the head {cls_score.shape[1]} classes'
            )
        loss = functional.cross_entropy(
            cls_score, label, self.class_weight, ignore_index=ignore_index, reduction='none'
        )
        if weight is not None:
            loss = loss * weight
        labelled = label != ignore_index
        total = self.class_weight[label[labelled]].sum()
        return self.loss_weight * loss.sum() / total.clamp(min=torch.finfo(total.dtype).tiny)
