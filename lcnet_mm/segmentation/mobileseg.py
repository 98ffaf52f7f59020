"""The head of PaddleSeg's MobileSeg: context, fusion by sum, and three supervised outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..backbones.base import KAIMING_FAN_IN, check_integer
from ..backbones.layers import Config, ConvNormAct

_NUM_LEVELS = 3


class SeparableConv(nn.Sequential):
    """Depthwise 3x3 convolution with norm and without activation, pointwise convolution with norm and ReLU.

    The pointwise convolution has a bias before its norm, as in PaddleSeg's ``SeparableConvBNReLU``.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        norm_cfg: mm config of the norms.

    Shapes:
        ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``.
    """

    def __init__(self, in_channels: int, out_channels: int, norm_cfg: Config) -> None:
        super().__init__()
        self.dw_conv = ConvNormAct(in_channels, in_channels, 3, groups=in_channels, norm_cfg=norm_cfg, act_cfg=None)
        self.pw_conv = ConvNormAct(
            in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=dict(type='ReLU'), with_bias=True
        )


def pool_bins(x: Tensor, bins: int) -> Tensor:
    """Average ``(N, C, H, W)`` over a grid of ``bins`` x ``bins`` cells, as ``adaptive_avg_pool2d`` does.

    ONNX has no such operator; where the cells are not equal, the export gets two matrix products with constants.
    """
    height, width = (int(side) for side in x.shape[2:])
    if not torch.onnx.is_in_onnx_export() or (height % bins == 0 and width % bins == 0):
        return F.adaptive_avg_pool2d(x, bins)
    rows, columns = (_cell_weights(side, bins).to(x) for side in (height, width))
    return rows @ x @ columns.T


def _cell_weights(side: int, bins: int) -> Tensor:
    """Return the weights ``(bins, side)`` with which the positions of a side count in each cell."""
    weights = torch.zeros(bins, side)
    for index in range(bins):
        begin, end = index * side // bins, -(-(index + 1) * side // bins)
        weights[index, begin:end] = 1 / (end - begin)
    return weights


class ContextModule(nn.Module):
    """Means of the feature over grids of several sizes, each through a 1x1 convolution, enlarged and summed.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        bin_sizes: Cells along a side of each grid.
        norm_cfg: mm config of the norms.
        align_corners: Of the resize.

    Shapes:
        ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, bin_sizes: Sequence[int], norm_cfg: Config, align_corners: bool
    ) -> None:
        super().__init__()
        self.bin_sizes = tuple(bin_sizes)
        self.align_corners = align_corners
        self.bins = nn.ModuleList(
            ConvNormAct(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=dict(type='ReLU'), with_bias=True)
            for _ in self.bin_sizes
        )
        self.conv_out = SeparableConv(out_channels, out_channels, norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """Run the module on ``(N, C, H, W)``."""
        maps = [conv(pool_bins(x, size)) for size, conv in zip(self.bin_sizes, self.bins, strict=True)]
        enlarged = [F.interpolate(m, x.shape[2:], mode='bilinear', align_corners=self.align_corners) for m in maps]
        context = enlarged[0]
        for part in enlarged[1:]:
            context = context + part
        result: Tensor = self.conv_out(context)
        return result


class Fusion(nn.Module):
    """A feature of the backbone joined with the enlarged output of the level below it.

    Args:
        low_channels: Channels of the backbone's feature.
        high_channels: Channels of the output of the level below, to which the feature is brought.
        out_channels: Channels of the output.
        attention: Whether to weigh the two by a map between 0 and 1, computed from the channel means and maxima of
            both (PaddleSeg's ``UAFMMobile_SpAtten``), instead of summing them (``UAFMMobile``).
        norm_cfg: mm config of the norms.
        align_corners: Of the resize.

    Shapes:
        ``(N, low_channels, H, W)`` and ``(N, high_channels, h, w)`` to ``(N, out_channels, H, W)``.
    """

    def __init__(
        self,
        low_channels: int,
        high_channels: int,
        out_channels: int,
        attention: bool,
        norm_cfg: Config,
        align_corners: bool,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.conv_low = SeparableConv(low_channels, high_channels, norm_cfg)
        self.attention: nn.Sequential | None = None
        if attention:
            self.attention = nn.Sequential(
                ConvNormAct(4, 2, 3, norm_cfg=norm_cfg, act_cfg=dict(type='ReLU')),
                ConvNormAct(2, 1, 3, norm_cfg=norm_cfg, act_cfg=None),
            )
        self.conv_out = SeparableConv(high_channels, out_channels, norm_cfg)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Join ``(N, C, H, W)`` and ``(N, D, h, w)``."""
        low = self.conv_low(low)
        high = F.interpolate(high, low.shape[2:], mode='bilinear', align_corners=self.align_corners)
        if self.attention is None:
            fused = low + high
        else:
            statistics = [f(part) for part in (low, high) for f in (_channel_mean, _channel_max)]
            weight = self.attention(torch.cat(statistics, 1)).sigmoid()
            fused = low * weight + high * (1 - weight)
        result: Tensor = self.conv_out(fused)
        return result


def _channel_mean(x: Tensor) -> Tensor:
    return x.mean(1, keepdim=True)


def _channel_max(x: Tensor) -> Tensor:
    return x.amax(1, keepdim=True)


class Predictor(nn.Module):
    """A separable convolution and a 1x1 convolution without bias to the classes.

    Args:
        in_channels: Channels of the input.
        channels: Channels between the two.
        num_classes: Channels of the output.
        norm_cfg: mm config of the norms.

    Shapes:
        ``(N, in_channels, H, W)`` to ``(N, num_classes, H, W)``.
    """

    def __init__(self, in_channels: int, channels: int, num_classes: int, norm_cfg: Config) -> None:
        super().__init__()
        self.conv = SeparableConv(in_channels, channels, norm_cfg)
        self.conv_out = nn.Conv2d(channels, num_classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Run the module on ``(N, C, H, W)``."""
        result: Tensor = self.conv_out(self.conv(x))
        return result


@MODELS.register_module()
class MobileSegHead(BaseDecodeHead):
    """The head of MobileSeg on any backbone with features at strides 8, 16 and 32.

    Each of the three levels has a predictor with a loss of its own while training; only that of stride 8 is computed
    in prediction and exported (docs/specification/mobileseg.md#head).

    Args:
        in_channels: Channels of the three features, from the finest to the coarsest.
        channels: Channels of each predictor before its last convolution.
        in_index: Which of the backbone's outputs the three features are.
        context_channels: Channels of the context module.
        bin_sizes: Cells along a side of the context module's grids.
        fusion_channels: Output channels of the three levels, from the finest to the coarsest.
        attention: Whether levels are joined with spatial attention instead of a sum.
        output_weights: Factors of the three losses, from the finest level to the coarsest.
        norm_cfg: mm config of the norms.
        dropout_ratio: Must be 0: the original has no dropout.
        init_cfg: mm config of the initialisation.
        kwargs: ``num_classes``, ``loss_decode``, ``align_corners``, ``ignore_index`` and ``sampler`` of
            ``BaseDecodeHead``.

    Shapes:
        features ``(N, C_i, H / s_i, W / s_i)`` to logits ``(N, num_classes, H / 8, W / 8)``; while training to a list
        of logits at strides 8, 16 and 32.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it, what it was and what is allowed.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 32,
        in_index: Sequence[int] = (0, 1, 2),
        context_channels: int = 128,
        bin_sizes: Sequence[int] = (1, 2, 4),
        fusion_channels: Sequence[int] = (32, 64, 128),
        attention: bool = False,
        output_weights: Sequence[float] = (1.0, 1.0, 1.0),
        norm_cfg: Config = dict(type='BN'),
        dropout_ratio: float = 0.0,
        init_cfg: Any = KAIMING_FAN_IN,
        **kwargs: Any,
    ) -> None:
        levels = dict(
            in_channels=in_channels, in_index=in_index, fusion_channels=fusion_channels, output_weights=output_weights
        )
        for name, values in levels.items():
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise TypeError(f'{name} must be a sequence of {_NUM_LEVELS} numbers, got {values!r}')
            if len(values) != _NUM_LEVELS:
                raise ValueError(f'{name} must have {_NUM_LEVELS} entries, for strides 8, 16 and 32, got {values!r}')
        if dropout_ratio:
            raise ValueError(f'dropout_ratio must be 0, since this head has no dropout, got {dropout_ratio!r}')
        if isinstance(bin_sizes, str) or not isinstance(bin_sizes, Sequence) or len(bin_sizes) == 0:
            raise TypeError(f'bin_sizes must be a non-empty sequence of integers, got {bin_sizes!r}')
        sizes = [check_integer('bin_sizes', size, 1) for size in bin_sizes]
        context_channels = check_integer('context_channels', context_channels, 1)
        super().__init__(  # type: ignore[no-untyped-call]
            list(in_channels),
            check_integer('channels', channels, 1),
            in_index=list(in_index),
            input_transform='multiple_select',
            norm_cfg=norm_cfg,
            dropout_ratio=0,
            init_cfg=init_cfg,
            **kwargs,
        )
        # The base class's last convolution; here each predictor has one.
        del self.conv_seg
        self.output_weights = tuple(output_weights)
        self.context = ContextModule(in_channels[-1], context_channels, sizes, norm_cfg, self.align_corners)
        outputs = [check_integer('fusion_channels', value, 1) for value in fusion_channels]
        below = [*outputs[1:], context_channels]
        self.fusions = nn.ModuleList(
            Fusion(low, high, out, attention, norm_cfg, self.align_corners)
            for low, high, out in zip(in_channels, below, outputs, strict=True)
        )
        self.predictors = nn.ModuleList(Predictor(out, self.channels, self.out_channels, norm_cfg) for out in outputs)

    def fuse(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs of the three levels, from the finest to the coarsest."""
        features = self._transform_inputs(inputs)  # type: ignore[no-untyped-call]
        high = self.context(features[-1])
        outputs: list[Tensor] = []
        for low, fusion in zip(reversed(features), reversed(self.fusions), strict=True):
            high = fusion(low, high)
            outputs.insert(0, high)
        return outputs

    def forward_all(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return the logits at strides 8, 16 and 32, each ``(N, num_classes, H / s, W / s)``."""
        return [predict(x) for predict, x in zip(self.predictors, self.fuse(inputs), strict=True)]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Return the logits at stride 8; while training those of all levels."""
        if self.training:
            return self.forward_all(inputs)
        logits: Tensor = self.predictors[0](self.fuse(inputs)[0])
        return logits

    def loss_by_feat(  # type: ignore[override]  # several outputs instead of one
        self, seg_logits: Sequence[Tensor], batch_data_samples: Any
    ) -> dict[str, Tensor]:
        """Compute the loss of each level on logits enlarged to the labels, and the accuracy of the finest.

        Returns:
            The losses of the finest level by their names, those of the others with ``_s16`` and ``_s32`` appended, and
            ``acc_seg``.
        """
        losses: dict[str, Tensor] = {}
        for suffix, weight, logits in zip(('', '_s16', '_s32'), self.output_weights, seg_logits, strict=True):
            for name, value in super().loss_by_feat(logits, batch_data_samples).items():
                if name.startswith('loss'):
                    losses[f'{name}{suffix}'] = weight * value
                elif not suffix:
                    losses[name] = value
        return losses
