"""Building blocks shared by backbones, necks and heads."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor, nn

Config = dict[str, Any]


def make_divisible(value: float, divisor: int = 8, min_ratio: float = 0.9) -> int:
    """Round a number of channels to a multiple of ``divisor``, never below ``min_ratio`` times the number.

    Source: PaddleClas ``pp_lcnet.py``; the same rule as in the MobileNet papers.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded if rounded >= min_ratio * value else rounded + divisor


def build_activation(act_cfg: Config | None) -> nn.Module:
    """Build an activation from an mm config, or the identity from None.

    Raises:
        TypeError: ``act_cfg`` is neither None nor a dict with a ``type``.
        ValueError: the type is not registered or does not accept the arguments.
    """
    if act_cfg is None:
        return nn.Identity()
    if not isinstance(act_cfg, dict) or 'type' not in act_cfg:
        raise TypeError(f"act_cfg must be None or a dict with a 'type', e.g. dict(type='HSwish'), got {act_cfg!r}")
    try:
        return build_activation_layer(dict(act_cfg))
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"act_cfg {act_cfg!r} cannot be built; its 'type' must be an activation known to mmcv, e.g. "
            f"'HSwish', 'ReLU', 'ReLU6', 'LeakyReLU' ({error})"
        ) from error


def _build_norm(norm_cfg: Config, channels: int) -> tuple[str, nn.Module]:
    """Build a norm from an mm config and return its usual name (``bn``, ``gn``) and the module.

    Raises:
        TypeError: ``norm_cfg`` is not a dict with a ``type``.
        ValueError: the type is not registered or does not accept the arguments for this number of channels.
    """
    if not isinstance(norm_cfg, dict) or 'type' not in norm_cfg:
        raise TypeError(f"norm_cfg must be None or a dict with a 'type', e.g. dict(type='BN'), got {norm_cfg!r}")
    try:
        return build_norm_layer(dict(norm_cfg), channels)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(
            f"norm_cfg {norm_cfg!r} cannot be built for {channels} channels; its 'type' must be a norm known to mmcv, "
            f"e.g. 'BN', 'SyncBN', or 'GN' with a num_groups that divides every width ({error})"
        ) from error


class ConvNormAct(nn.Sequential):
    """Convolution without bias, norm and activation, padded so that stride 1 keeps the size.

    Unlike ``mmcv.cnn.ConvModule``, it does not initialize itself, so that only the ``init_cfg`` of the enclosing module
    counts. The names of its children are those of the Paddle checkpoints: ``conv`` and ``bn`` (or the usual name of
    another norm).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square, odd kernel.
        stride: Stride, or a pair (h, w).
        groups: Groups of the convolution.
        dilation: Dilation.
        norm_cfg: mm config of the norm; None gives a convolution with bias and no norm.
        act_cfg: mm config of the activation; None for no activation.
        with_bias: Whether the convolution has a bias also before a norm.

    Shapes:
        ``(N, in_channels, H, W)`` to ``(N, out_channels, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int | tuple[int, int] = 1,
        groups: int = 1,
        dilation: int = 1,
        norm_cfg: Config | None,
        act_cfg: Config | None,
        with_bias: bool = False,
    ) -> None:
        conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=(kernel_size - 1) // 2 * dilation,
            dilation=dilation,
            groups=groups,
            bias=with_bias or norm_cfg is None,
        )
        layers: list[tuple[str, nn.Module]] = [('conv', conv)]
        if norm_cfg is not None:
            layers.append(_build_norm(norm_cfg, out_channels))
        if act_cfg is not None:
            layers.append(('act', build_activation(act_cfg)))
        super().__init__(OrderedDict(layers))


class SELayer(nn.Module):
    """Squeeze-and-excitation with a ReLU and a hard sigmoid gate.

    Args:
        channels: Channels of the input.
        squeeze_channels: Width of the bottleneck. It is not rounded: PP-LCNet-0.35x has widths that are no multiple of
            8.
        gate_slope: Slope of the gate ``clip(slope * x + 0.5, 0, 1)``. 1/6 in PP-LCNet and torchvision, 0.2 in
            PaddleDetection's MobileNetV3.

    Shapes:
        ``(N, channels, H, W)`` to the same.
    """

    def __init__(self, channels: int, squeeze_channels: int, gate_slope: float = 1 / 6) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, squeeze_channels, 1)
        self.conv2 = nn.Conv2d(squeeze_channels, channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.gate: nn.Module = nn.Hardsigmoid()
        self.gate_scale = gate_slope * 6

    def forward(self, x: Tensor) -> Tensor:
        """Run the block on ``(N, C, H, W)``."""
        gate = self.conv2(self.relu(self.conv1(F.adaptive_avg_pool2d(x, 1))))
        # nn.Hardsigmoid is exported as one operator of ONNX and OpenVINO; another slope costs one multiplication.
        if self.gate_scale != 1:
            gate = gate * self.gate_scale
        result: Tensor = x * self.gate(gate)
        return result


class DepthwiseSeparable(nn.Module):
    """Depthwise convolution, optional SE and pointwise convolution; each convolution has a norm and an activation.

    The SE has the channels of the input. Source: PaddleClas ``pp_lcnet.py`` (``DepthwiseSeparable``).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the depthwise kernel.
        stride: Stride of the depthwise convolution, or a pair (h, w).
        dilation: Dilation of the depthwise convolution.
        use_se: Whether there is an SE with ``in_channels // 4`` squeeze channels before the pointwise convolution.
        norm_cfg: mm config of the norms.
        act_cfg: mm config of the activations.

    Shapes:
        ``(N, in_channels, H, W)`` to ``(N, out_channels, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int | tuple[int, int] = 1,
        dilation: int = 1,
        use_se: bool = False,
        norm_cfg: Config,
        act_cfg: Config | None,
    ) -> None:
        super().__init__()
        self.dw_conv = ConvNormAct(
            in_channels,
            in_channels,
            kernel_size,
            stride=stride,
            groups=in_channels,
            dilation=dilation,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )
        self.se = SELayer(in_channels, in_channels // 4) if use_se else None
        self.pw_conv = ConvNormAct(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """Run the block on ``(N, C, H, W)``."""
        x = self.dw_conv(x)
        if self.se is not None:
            x = self.se(x)
        result: Tensor = self.pw_conv(x)
        return result
