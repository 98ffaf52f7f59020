"""MobileNetV3 with a width factor, the baseline of the PP-LCNet paper (https://arxiv.org/abs/1905.02244)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mmengine.registry import MODELS
from torch import Tensor, nn

from .base import KAIMING_FAN_IN, StagedBackbone, StrideSchedule, check_integer, check_positive
from .layers import Config, ConvNormAct, SELayer, make_divisible

_STEM_CHANNELS = 16


class Block(NamedTuple):
    """One inverted residual at width 1.0."""

    kernel_size: int
    expanded_channels: int
    out_channels: int
    use_se: bool
    activation: str
    stride: int


# Source: tables 1 and 2 of the MobileNetV3 paper, as torchvision builds them.
BLOCKS = {
    'large': (
        Block(3, 16, 16, False, 'ReLU', 1),
        Block(3, 64, 24, False, 'ReLU', 2),
        Block(3, 72, 24, False, 'ReLU', 1),
        Block(5, 72, 40, True, 'ReLU', 2),
        Block(5, 120, 40, True, 'ReLU', 1),
        Block(5, 120, 40, True, 'ReLU', 1),
        Block(3, 240, 80, False, 'HSwish', 2),
        Block(3, 200, 80, False, 'HSwish', 1),
        Block(3, 184, 80, False, 'HSwish', 1),
        Block(3, 184, 80, False, 'HSwish', 1),
        Block(3, 480, 112, True, 'HSwish', 1),
        Block(3, 672, 112, True, 'HSwish', 1),
        Block(5, 672, 160, True, 'HSwish', 2),
        Block(5, 960, 160, True, 'HSwish', 1),
        Block(5, 960, 160, True, 'HSwish', 1),
    ),
    'small': (
        Block(3, 16, 16, True, 'ReLU', 2),
        Block(3, 72, 24, False, 'ReLU', 2),
        Block(3, 88, 24, False, 'ReLU', 1),
        Block(5, 96, 40, True, 'HSwish', 2),
        Block(5, 240, 40, True, 'HSwish', 1),
        Block(5, 240, 40, True, 'HSwish', 1),
        Block(5, 120, 48, True, 'HSwish', 1),
        Block(5, 144, 48, True, 'HSwish', 1),
        Block(5, 288, 96, True, 'HSwish', 2),
        Block(5, 576, 96, True, 'HSwish', 1),
        Block(5, 576, 96, True, 'HSwish', 1),
    ),
}


def split_stages(blocks: Sequence[Block]) -> list[list[Block]]:
    """Split a table before each strided block; the first part has the stride of the stem and may be empty."""
    stages: list[list[Block]] = [[]]
    for block in blocks:
        if block.stride > 1:
            stages.append([])
        stages[-1].append(block)
    return stages


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, optional SE and linear projection, added to the input where the shapes agree.

    Args:
        in_channels: Channels of the input.
        block: The row of the table.
        widen_factor: Width factor of the channels in the table.
        stride: Stride of the depthwise convolution.
        dilation: Dilation of the depthwise convolution.
        se_divisor: The squeeze width is a quarter of the expanded one, rounded to a multiple of this.
        se_gate_slope: Slope of the SE's hard sigmoid.
        always_expand: Whether there is an expansion even where it does not change the width.
        norm_cfg: mm config of the norms.

    Shapes:
        ``(N, in_channels, H, W)`` to ``(N, out_channels, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(
        self,
        in_channels: int,
        block: Block,
        widen_factor: float,
        *,
        stride: int,
        dilation: int,
        se_divisor: int,
        se_gate_slope: float,
        always_expand: bool,
        norm_cfg: Config,
    ) -> None:
        super().__init__()
        expanded = make_divisible(block.expanded_channels * widen_factor)
        self.out_channels = make_divisible(block.out_channels * widen_factor)
        act_cfg = dict(type=block.activation)
        self.expand_conv = (
            ConvNormAct(in_channels, expanded, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
            if always_expand or expanded != in_channels
            else None
        )
        self.dw_conv = ConvNormAct(
            expanded,
            expanded,
            block.kernel_size,
            stride=stride,
            groups=expanded,
            dilation=dilation,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )
        squeeze = make_divisible(expanded // 4, se_divisor)
        self.se = SELayer(expanded, squeeze, se_gate_slope) if block.use_se else None
        self.project_conv = ConvNormAct(expanded, self.out_channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        # By the stride of the table: a stride that is replaced by dilation must not add a shortcut, because checkpoints
        # are trained without it.
        self.use_shortcut = block.stride == 1 and in_channels == self.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Run the block on ``(N, C, H, W)``."""
        out = x if self.expand_conv is None else self.expand_conv(x)
        out = self.dw_conv(out)
        if self.se is not None:
            out = self.se(out)
        out = self.project_conv(out)
        result: Tensor = x + out if self.use_shortcut else out
        return result


@MODELS.register_module()
class MobileNetV3(StagedBackbone):
    """MobileNetV3 with outputs at all five strides (2, 4, 8, 16 and 32), without its last 1x1 convolution.

    mmseg and mmpretrain have another class of this name, without a width factor; in their scopes this one is
    ``type='mmengine.MobileNetV3'``. A stage ends before the next strided block; stage 0 of the small network is its
    stem.

    Args:
        arch: 'large' or 'small'.
        widen_factor: Width factor; the PP-LCNet paper compares with 0.35, 0.5 and 0.75.
        out_indices: Stages to return, from 0 to 4 or negative, strictly increasing; an int selects one stage. Stages
            after the last one are not built.
        output_stride: 32, or 16 or 8 to replace the last strides by dilation.
        se_divisor: The SE's squeeze width is rounded to a multiple of this: 8 in torchvision, 1 (floor) in
            PaddleClas and PaddleDetection.
        se_gate_slope: Slope of the SE's hard sigmoid: 1/6 in torchvision, 0.2 in PaddleDetection.
        always_expand: Whether a block has an expansion even where it does not change the width, as in PaddleClas and
            PaddleDetection but not in torchvision.
        in_channels: Channels of the input.
        norm_cfg: mm config of the norms; the default is that of torchvision.
        frozen_stages: Last stage whose weights and BN statistics are frozen, with all stages before it; -1 freezes
            none.
        norm_eval: Whether BN layers keep their running statistics during training.
        with_cp: Whether to recompute blocks in the backward pass instead of keeping their activations.
        init_cfg: mm config of the initialization.

    Shapes:
        ``(N, in_channels, H, W)`` to a tuple of ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        TypeError, ValueError: an argument is invalid; the message gives its name, its value and what is allowed.
    """

    def __init__(
        self,
        arch: str = 'large',
        widen_factor: float = 1.0,
        out_indices: int | Sequence[int] = (1, 2, 3, 4),
        output_stride: int = 32,
        se_divisor: int = 8,
        se_gate_slope: float = 1 / 6,
        always_expand: bool = False,
        in_channels: int = 3,
        norm_cfg: Config = dict(type='BN', eps=0.001, momentum=0.01),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = KAIMING_FAN_IN,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, with_cp, init_cfg)
        if not isinstance(arch, str) or arch not in BLOCKS:
            raise ValueError(f'arch must be one of {tuple(BLOCKS)}, got {arch!r}')
        width = check_positive('widen_factor', widen_factor)
        in_channels = check_integer('in_channels', in_channels, 1)
        se_divisor = check_integer('se_divisor', se_divisor, 1)
        se_gate_slope = check_positive('se_gate_slope', se_gate_slope)
        strides = StrideSchedule(output_stride)

        channels = make_divisible(_STEM_CHANNELS * width)
        stem_stride, _ = strides.take(2)
        modules: dict[str, nn.Module] = {
            'conv1': ConvNormAct(
                in_channels, channels, 3, stride=stem_stride, norm_cfg=norm_cfg, act_cfg=dict(type='HSwish')
            )
        }
        for members in split_stages(BLOCKS[arch]):
            if self.complete:
                break
            layers: list[InvertedResidual] = []
            for block in members:
                stride, dilation = strides.take(block.stride)
                layers.append(
                    InvertedResidual(
                        channels,
                        block,
                        width,
                        stride=stride,
                        dilation=dilation,
                        se_divisor=se_divisor,
                        se_gate_slope=se_gate_slope,
                        always_expand=always_expand,
                        norm_cfg=norm_cfg,
                    )
                )
                channels = layers[-1].out_channels
            if layers:
                modules[f'blocks{len(self.stages) + 2}'] = nn.Sequential(*layers)
            self.add_stage(modules, channels, strides.reduction)
            modules = {}
        self.train()
