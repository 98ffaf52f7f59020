"""PP-LCNet: A Lightweight CPU Convolutional Neural Network (https://arxiv.org/abs/2109.15099)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from mmengine.registry import MODELS
from torch import nn

from .base import KAIMING_FAN_IN, StagedBackbone, Stride, StrideSchedule, check_integer, check_positive, check_strides
from .layers import Config, ConvNormAct, DepthwiseSeparable, make_divisible

_STEM_CHANNELS = 16


class Block(NamedTuple):
    """One depthwise separable block at width 1.0."""

    stage: int
    in_channels: int
    out_channels: int
    stride: int


# Source: PaddleClas pp_lcnet.py. As in the paper, strings of 13 bits say which blocks have large kernels and SE.
BLOCKS = (
    Block(0, 16, 32, 1),
    Block(1, 32, 64, 2),
    Block(1, 64, 64, 1),
    Block(2, 64, 128, 2),
    Block(2, 128, 128, 1),
    Block(3, 128, 256, 2),
    Block(3, 256, 256, 1),
    Block(3, 256, 256, 1),
    Block(3, 256, 256, 1),
    Block(3, 256, 256, 1),
    Block(3, 256, 256, 1),
    Block(4, 256, 512, 2),
    Block(4, 512, 512, 1),
)


def _parse_bits(name: str, bits: str) -> tuple[bool, ...]:
    """Convert a string of 13 zeros and ones to flags, or raise a TypeError or ValueError that names it."""
    if not isinstance(bits, str):
        raise TypeError(f'{name} must be a string of {len(BLOCKS)} zeros and ones, got {bits!r}')
    if len(bits) != len(BLOCKS) or set(bits) - {'0', '1'}:
        raise ValueError(f'{name} must have exactly {len(BLOCKS)} characters, each 0 or 1, got {bits!r}')
    return tuple(bit == '1' for bit in bits)


@MODELS.register_module()
class PPLCNet(StagedBackbone):
    """PP-LCNet with outputs at all five strides (2, 4, 8, 16 and 32).

    The modules have the names of PaddleClas and PaddleDetection (``conv1``, ``blocks2`` … ``blocks6``), so that in
    their checkpoints only the BN statistics need other names. Stage ``i`` ends with ``blocks{i + 2}``.

    Args:
        widen_factor: Width factor; the paper has 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0 and 2.5.
        out_indices: Stages to return, from 0 to 4 or negative, strictly increasing; an int selects one stage. Stages
            after the last one are not built.
        act_cfg: mm config of the activation.
        se_blocks: One digit for each of the 13 blocks: '1' for a block with SE, '0' for one without.
        large_kernel_blocks: One digit for each of the 13 blocks: '1' for a 5x5 depthwise kernel, '0' for 3x3.
        output_stride: 32, or 16 or 8 to replace the last strides by dilation.
        in_channels: Channels of the input.
        norm_cfg: mm config of the norms.
        frozen_stages: Last stage whose weights and BN statistics are frozen, with all stages before it; -1 freezes
            none.
        norm_eval: Whether BN layers keep their running statistics during training.
        with_cp: Whether to recompute blocks in the backward pass instead of keeping their activations.
        init_cfg: mm config of the initialization; the default is that of PaddleClas (Kaiming normal, fan_in).
        strides: For each stage, its stride as an int or as a pair (h, w): of the stem, and of the first blocks of
            stages 1 to 4. PaddleClas reads lines of text with ``(2, (2, 1), (2, 1), (2, 1), (2, 1))``. Others than the
            default need the ``output_stride`` 32.

    Shapes:
        ``(N, in_channels, H, W)`` to a tuple of ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        TypeError, ValueError: an argument is invalid; the message gives its name, its value and what is allowed.
    """

    def __init__(
        self,
        widen_factor: float = 1.0,
        out_indices: int | Sequence[int] = (1, 2, 3, 4),
        act_cfg: Config = dict(type='HSwish'),
        se_blocks: str = '0000000000011',
        large_kernel_blocks: str = '0000001111111',
        output_stride: int = 32,
        in_channels: int = 3,
        norm_cfg: Config = dict(type='BN'),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = KAIMING_FAN_IN,
        strides: Sequence[Stride] = (2, 2, 2, 2, 2),
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, with_cp, init_cfg)
        width = check_positive('widen_factor', widen_factor)
        in_channels = check_integer('in_channels', in_channels, 1)
        schedule = StrideSchedule(output_stride)
        pairs = check_strides(strides, output_stride)
        usual = all(pair == (2, 2) for pair in pairs)
        use_se = _parse_bits('se_blocks', se_blocks)
        large_kernel = _parse_bits('large_kernel_blocks', large_kernel_blocks)

        stem_channels = make_divisible(_STEM_CHANNELS * width)
        stem_stride = schedule.take(2)[0] if usual else schedule.take_pair(pairs[0])
        stem = ConvNormAct(in_channels, stem_channels, 3, stride=stem_stride, norm_cfg=norm_cfg, act_cfg=act_cfg)
        modules: dict[str, nn.Module] = {'conv1': stem}
        for stage, members in groupby(enumerate(BLOCKS), key=lambda member: member[1].stage):
            if self.complete:
                break
            layers: list[nn.Module] = []
            for position, block in members:
                stride: Stride
                if usual:
                    stride, dilation = schedule.take(block.stride)
                else:
                    stride, dilation = schedule.take_pair(pairs[stage] if block.stride == 2 else (1, 1)), 1
                layers.append(
                    DepthwiseSeparable(
                        make_divisible(block.in_channels * width),
                        make_divisible(block.out_channels * width),
                        5 if large_kernel[position] else 3,
                        stride=stride,
                        dilation=dilation,
                        use_se=use_se[position],
                        norm_cfg=norm_cfg,
                        act_cfg=act_cfg,
                    )
                )
            modules[f'blocks{stage + 2}'] = nn.Sequential(*layers)
            self.add_stage(modules, make_divisible(block.out_channels * width), schedule.reduction)
            modules = {}
        self.train()
