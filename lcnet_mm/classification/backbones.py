"""The paper's rivals where mmpretrain's backbones are other networks than those that it measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmpretrain.models.backbones import MobileNetV2, ShuffleNetV2
from mmpretrain.registry import MODELS
from torch import nn

from ..backbones.base import check_positive

# Source: PaddleClas shufflenet_v2.py; channels of the three stages and of the last convolution.
_SHUFFLE_CHANNELS = {0.25: (24, 48, 96, 512), 0.33: (32, 64, 128, 512)}
_SHUFFLE_STEM = 24
_MOBILE_STEM = 32


@MODELS.register_module()
class NarrowShuffleNetV2(ShuffleNetV2):
    """mmpretrain's ShuffleNetV2, which begins at 0.5x, at the widths 0.25 and 0.33 of PaddleClas.

    Args:
        widen_factor: 0.25 or 0.33.
        out_indices: As for ``ShuffleNetV2``.
        kwargs: As for ``ShuffleNetV2``.

    Raises:
        ValueError: there is no such width.
    """

    def __init__(self, widen_factor: float = 0.33, out_indices: Sequence[int] = (3,), **kwargs: Any) -> None:
        if widen_factor not in _SHUFFLE_CHANNELS:
            raise ValueError(f'widen_factor must be one of {tuple(_SHUFFLE_CHANNELS)}, got {widen_factor!r}')
        super().__init__(widen_factor=0.5, out_indices=tuple(out_indices), **kwargs)  # type: ignore[no-untyped-call]
        *stages, last = _SHUFFLE_CHANNELS[widen_factor]
        # _make_layer goes on from here.
        self.in_channels = _SHUFFLE_STEM
        layers: list[nn.Module] = [
            self._make_layer(channels, blocks)  # type: ignore[no-untyped-call]
            for channels, blocks in zip(stages, self.stage_blocks, strict=True)
        ]
        cfgs = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.layers = nn.ModuleList([*layers, ConvModule(stages[-1], last, 1, **cfgs)])


@MODELS.register_module()
class PaddleMobileNetV2(MobileNetV2):
    """MobileNetV2 as PaddleClas builds it, which is what the paper measured.

    Its channels are the width times the table's, cut to whole numbers; mmpretrain, torchvision and the MobileNetV2
    paper round them to multiples of 8. Its first block has an expansion of ratio 1; theirs has none. At 1.0x that is
    327.8 M FLOPs against 314.2 M, at 0.25x 34.2 M against 41.8 M. Source: PaddleClas ``mobilenet_v2.py``.

    Args:
        widen_factor: Width.
        kwargs: Of ``MobileNetV2``.
    """

    def __init__(self, widen_factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(widen_factor=check_positive('widen_factor', widen_factor), **kwargs)  # type: ignore[no-untyped-call]
        cfgs = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        # make_layer goes on from here.
        self.in_channels = stem = int(_MOBILE_STEM * widen_factor)
        self.conv1 = ConvModule(3, stem, 3, stride=2, padding=1, **cfgs)
        for index, (ratio, channels, blocks, stride) in enumerate(self.arch_settings, 1):
            layer = self.make_layer(int(channels * widen_factor), blocks, stride, ratio)  # type: ignore[no-untyped-call]
            if ratio == 1:
                layer.insert(0, ConvModule(stem, stem, 1, **cfgs))
            setattr(self, f'layer{index}', layer)
        self.conv2 = ConvModule(self.in_channels, self.out_channel, 1, **cfgs)
