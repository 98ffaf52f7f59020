"""Four-level necks of PicoDet: LC-PAN of release 2.4 and CSP-PAN of release 2.3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...backbones.layers import Config, ConvNormAct, DepthwiseSeparable

# KaimingUniform over fan_in as in the original, except that its DepthSep blocks draw from a normal distribution of the
# same deviation (docs/specification/picodet.md#initialization), which batch norm makes a small difference.
_INIT: list[dict[str, Any]] = [
    dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='relu', distribution='uniform'),
    dict(type='Constant', layer=['_BatchNorm', 'GroupNorm'], val=1, bias=0),
]


class _CSPLayer(nn.Module):
    """Cross-stage partial layer without a residual: half of the channels go through a bottleneck.

    Source: PaddleDetection's ``CSPLayer`` as its CSP-PAN uses it, with one depthwise block
    (docs/specification/picodet.md#csppan).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the depthwise kernel.
        norm_cfg: mm config of the norms.
        act_cfg: mm config of the activations.

    Shapes:
        ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, norm_cfg: Config, act_cfg: Config
    ) -> None:
        super().__init__()
        mid = out_channels // 2
        self.main_conv = ConvNormAct(in_channels, mid, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.short_conv = ConvNormAct(in_channels, mid, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.block = nn.Sequential(
            ConvNormAct(mid, mid, 1, norm_cfg=norm_cfg, act_cfg=act_cfg),
            DepthwiseSeparable(mid, mid, kernel_size, norm_cfg=norm_cfg, act_cfg=act_cfg),
        )
        self.final_conv = ConvNormAct(2 * mid, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer on ``(N, in_channels, H, W)``."""
        result: Tensor = self.final_conv(torch.cat((self.block(self.main_conv(x)), self.short_conv(x)), 1))
        return result


class FourLevelPAN(BaseModule):
    """Path aggregation of three inputs with a fourth, coarser output; subclasses define the fusion.

    1x1 convolutions as laterals, a top-down path with nearest-neighbor upsampling and a bottom-up path with strided
    depthwise blocks. The fourth level is the sum of two strided blocks, on the coarsest lateral and on the third
    output. Source: PaddleDetection's ``lc_pan.py`` and ``csp_pan.py`` (docs/specification/picodet.md#lcpan,
    docs/specification/picodet.md#csppan).

    Args:
        in_channels: Channels of the inputs, finest level first.
        out_channels: Channels of every output.
        kernel_size: Side of the depthwise kernels.
        norm_cfg: mm config of the norms.
        act_cfg: mm config of the activations.
        init_cfg: mm config of the initialization.

    Shapes:
        Three of ``(N, in_channels[i], H_i, W_i)`` to four of ``(N, out_channels, H_i, W_i)``, the last of half the
        size of the third, rounded up.

    Raises:
        ValueError: the number of inputs is not the length of ``in_channels``.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        kernel_size: int = 5,
        norm_cfg: Config = dict(type='BN'),
        act_cfg: Config = dict(type='HSwish'),
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = _INIT,
    ) -> None:
        super().__init__(init_cfg)
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.laterals = nn.ModuleList(
            ConvNormAct(channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg) for channels in in_channels
        )
        steps = range(len(in_channels) - 1)
        # Both paths in the order in which they run: down from the coarsest level, up from the finest.
        self.top_down = nn.ModuleList(self._make_fusion() for _ in steps)
        self.downsamples = nn.ModuleList(self._make_downsample() for _ in steps)
        self.bottom_up = nn.ModuleList(self._make_fusion() for _ in steps)
        self.extra_from_lateral = self._make_downsample()
        self.extra_from_output = self._make_downsample()

    def _make_downsample(self) -> DepthwiseSeparable:
        """Build a depthwise separable block of stride 2."""
        channels = self.out_channels
        return DepthwiseSeparable(
            channels, channels, self.kernel_size, stride=2, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg
        )

    def _make_fusion(self) -> nn.Module:
        """Build the fusion of two levels: from ``2 * out_channels`` to ``out_channels``."""
        raise NotImplementedError

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute four levels from three, ``(N, C_i, H_i, W_i)``."""
        if len(inputs) != len(self.laterals):
            raise ValueError(
                f'{type(self).__name__} has in_channels for {len(self.laterals)} inputs, got {len(inputs)}'
            )
        laterals = [lateral(x) for lateral, x in zip(self.laterals, inputs, strict=True)]
        descent = [laterals[-1]]
        for fusion, fine in zip(self.top_down, reversed(laterals[:-1]), strict=True):
            coarse = F.interpolate(descent[-1], size=fine.shape[-2:], mode='nearest')
            descent.append(fusion(torch.cat((coarse, fine), 1)))
        outputs = [descent.pop()]
        for downsample, fusion, coarse in zip(self.downsamples, self.bottom_up, reversed(descent), strict=True):
            outputs.append(fusion(torch.cat((downsample(outputs[-1]), coarse), 1)))
        outputs.append(self.extra_from_lateral(laterals[-1]) + self.extra_from_output(outputs[-1]))
        return tuple(outputs)


@MODELS.register_module()
class LCPAN(FourLevelPAN):
    """The neck of PicoDet in release 2.4: fusion by two depthwise separable blocks, as in the backbone.

    Arguments, shapes and errors are those of :class:`FourLevelPAN`.
    """

    def _make_fusion(self) -> nn.Module:
        """Build the fusion of two levels."""
        channels = self.out_channels
        # Hard swish whatever act_cfg says, as in the original.
        act_cfg = dict(type='HSwish')
        return nn.Sequential(
            *(
                DepthwiseSeparable(2 * channels, width, self.kernel_size, norm_cfg=self.norm_cfg, act_cfg=act_cfg)
                for width in (2 * channels, channels)
            )
        )


@MODELS.register_module()
class CSPPAN(FourLevelPAN):
    """The neck of PicoDet in release 2.3: fusion by a cross-stage partial layer.

    Arguments, shapes and errors are those of :class:`FourLevelPAN`.
    """

    def _make_fusion(self) -> nn.Module:
        """Build the fusion of two levels."""
        return _CSPLayer(
            2 * self.out_channels,
            self.out_channels,
            self.kernel_size,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )
