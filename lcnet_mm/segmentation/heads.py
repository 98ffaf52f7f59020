"""LR-ASPP head for inputs of any size."""

from __future__ import annotations

from typing import Any

from mmseg.models.decode_heads import LRASPPHead
from mmseg.registry import MODELS
from torch import nn


@MODELS.register_module()
class GlobalLRASPPHead(LRASPPHead):
    """LR-ASPP head with global average pooling, as in torchvision and PaddleSeg.

    ``LRASPPHead`` of mmseg pools windows of 49x49 with stride 16x20, which assumes output stride 8 and fails on
    features below 49 pixels: at output stride 16, on every input below 784 pixels.

    The arguments are those of ``LRASPPHead``.

    Shapes:
        features ``(N, C_i, H / s_i, W / s_i)`` to logits ``(N, num_classes, H / s_0, W / s_0)``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.image_pool[0] = nn.AdaptiveAvgPool2d(1)
