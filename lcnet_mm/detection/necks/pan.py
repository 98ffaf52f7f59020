"""Path aggregation neck of PicoDet at the time of the PP-LCNet paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn


@MODELS.register_module()
class PAN(BaseModule):
    """Path aggregation by additions: 1x1 laterals, then a top-down and a bottom-up path with bilinear resizing.

    The only parameters are those of the laterals, which have a bias but no norm and no activation. Source:
    PaddleDetection's ``necks/pan.py`` of summer 2021 (docs/specification/picodet.md#paper-era).

    Args:
        in_channels: Channels of the inputs, finest level first.
        out_channels: Channels of every output.
        init_cfg: mm config of the initialization.

    Shapes:
        A tuple of ``(N, in_channels[i], H_i, W_i)`` to a tuple of ``(N, out_channels, H_i, W_i)``.

    Raises:
        ValueError: the number of inputs is not the length of ``in_channels``.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = dict(
            type='Xavier', layer='Conv2d', distribution='uniform'
        ),
    ) -> None:
        super().__init__(init_cfg)
        self.out_channels = out_channels
        self.laterals = nn.ModuleList(nn.Conv2d(channels, out_channels, 1) for channels in in_channels)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Fuse the levels ``(N, C_i, H_i, W_i)``."""
        if len(inputs) != len(self.laterals):
            raise ValueError(f'PAN has in_channels for {len(self.laterals)} inputs, got {len(inputs)}')
        levels = [lateral(x) for lateral, x in zip(self.laterals, inputs, strict=True)]
        for fine in range(len(levels) - 2, -1, -1):
            levels[fine] = levels[fine] + _resize_like(levels[fine + 1], levels[fine])
        for coarse in range(1, len(levels)):
            levels[coarse] = levels[coarse] + _resize_like(levels[coarse - 1], levels[coarse])
        return tuple(levels)


def _resize_like(x: Tensor, other: Tensor) -> Tensor:
    """Resize bilinearly to the size of another map; halving is the mean of 2x2 pixels."""
    result: Tensor = F.interpolate(x, size=other.shape[-2:], mode='bilinear', align_corners=False)
    return result
