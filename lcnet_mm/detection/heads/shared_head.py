"""Base of the heads of the paper's time and of release 2.3, with one predictor for classes and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .base import PicoDetBaseHead, Positives, normal_init

_INIT_CFG = normal_init('predictors')


class SharedPredictorHead(PicoDetBaseHead):
    """A head with one 1x1 predictor per level, which computes class logits and distance logits at once.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of every level, and of the towers.
        init_cfg: mm config of the initialization.
        kwargs: As for :class:`PicoDetBaseHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, init_cfg: Any = _INIT_CFG, **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        self.predictors = nn.ModuleList(
            nn.Conv2d(in_channels, num_classes + self.reg_channels, 1) for _ in self.strides
        )

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Compute the logits of each level.

        Args:
            feats: The neck's levels, ``(N, in_channels, H_i, W_i)`` each.

        Returns:
            Class logits ``(N, num_classes, H_i, W_i)`` and distance logits ``(N, 4 * (reg_max + 1), H_i, W_i)``.
        """
        cls_logits, reg_logits = [], []
        for feat, tower, predictor in zip(feats, self.towers, self.predictors, strict=True):
            cls_logit, reg_logit = predictor(tower(feat)).split((self.num_classes, self.reg_channels), 1)
            cls_logits.append(cls_logit)
            reg_logits.append(reg_logit)
        return cls_logits, reg_logits

    def to_scores(self, cls_output: Tensor) -> Tensor:
        """Return the probabilities of the logits."""
        return cls_output.sigmoid()

    def box_weights(self, cls_output: Tensor, positives: Positives) -> Tensor:
        """Return the probability of the best class at each positive."""
        return cls_output[positives.image, positives.point].amax(1).sigmoid()
