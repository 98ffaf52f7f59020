"""Backbones of the paper's comparison that mmpretrain does not have in this form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmpretrain.models.backbones import MobileNetV2, ShuffleNetV2
from mmpretrain.registry import MODELS
from torch import nn

from ..backbones.base import check_positive

# Channels of the three stages and of the last convolution. Source: PaddleClas shufflenet_v2.py.
_SHUFFLE_CHANNELS = {0.25: (24, 48, 96, 512), 0.33: (32, 64, 128, 512)}
_SHUFFLE_STEM = 24
_MOBILE_STEM = 32


@MODELS.register_module()
class NarrowShuffleNetV2(ShuffleNetV2):
    """ShuffleNetV2 with the widths 0.25 and 0.33 of PaddleClas; the smallest width of mmpretrain is 0.5.

    Args:
        widen_factor: 0.25 or 0.33.
        out_indices: As for ``ShuffleNetV2``.
        kwargs: As for ``ShuffleNetV2``.

    Raises:
        ValueError: ``widen_factor`` is neither.
    """

    def __init__(self, widen_factor: float = 0.33, out_indices: Sequence[int] = (3,), **kwargs: Any) -> None:
        if widen_factor not in _SHUFFLE_CHANNELS:
            raise ValueError(f'widen_factor must be one of {tuple(_SHUFFLE_CHANNELS)}, got {widen_factor!r}')
        super().__init__(widen_factor=0.5, out_indices=tuple(out_indices), **kwargs)  # type: ignore[no-untyped-call]
        *stages, last = _SHUFFLE_CHANNELS[widen_factor]
        # _make_layer reads the input channels from here.
        self.in_channels = _SHUFFLE_STEM
        layers: list[nn.Module] = [
            self._make_layer(channels, blocks)  # type: ignore[no-untyped-call]
            for channels, blocks in zip(stages, self.stage_blocks, strict=True)
        ]
        cfgs = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.layers = nn.ModuleList([*layers, ConvModule(stages[-1], last, 1, **cfgs)])


@MODELS.register_module()
class PaddleMobileNetV2(MobileNetV2):
    """MobileNetV2 of PaddleClas, which the paper compares with.

    Its channels are truncated to integers, whereas mmpretrain, torchvision and the MobileNetV2 paper round them to
    multiples of 8, and its first block has an expansion of ratio 1, whereas theirs has none. That makes 327.8 M instead
    of 314.2 M FLOPs at 1.0x, and 34.2 M instead of 41.8 M at 0.25x. Source: PaddleClas ``mobilenet_v2.py``.

    Args:
        widen_factor: Width factor.
        kwargs: As for ``MobileNetV2``.
    """

    def __init__(self, widen_factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(widen_factor=check_positive('widen_factor', widen_factor), **kwargs)  # type: ignore[no-untyped-call]
        cfgs = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        # make_layer reads the input channels from here.
        self.in_channels = stem = int(_MOBILE_STEM * widen_factor)
        self.conv1 = ConvModule(3, stem, 3, stride=2, padding=1, **cfgs)
        for index, (ratio, channels, blocks, stride) in enumerate(self.arch_settings, 1):
            layer = self.make_layer(int(channels * widen_factor), blocks, stride, ratio)  # type: ignore[no-untyped-call]
            if ratio == 1:
                layer.insert(0, ConvModule(stem, stem, 1, **cfgs))
            setattr(self, f'layer{index}', layer)
        self.conv2 = ConvModule(self.in_channels, self.out_channel, 1, **cfgs)
