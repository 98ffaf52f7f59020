"""PP-LCNetV2 of PaddleClas, which has no paper: ReLU only, and depthwise convolutions that fold for inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .base import KAIMING_FAN_IN, StagedBackbone, StrideSchedule, check_integer, check_positive
from .layers import Config, ConvNormAct, SELayer, build_activation, make_divisible

STEM_CHANNELS = (32, 64)


class Stage(NamedTuple):
    """One stage at width 1.0; its first block has stride 2."""

    out_channels: int
    kernel_size: int
    split_pointwise: bool
    branches: bool
    use_se: bool
    shortcut: bool


# Source: PaddleClas pp_lcnet_v2.py (docs/specification/pplcnet.md#pplcnetv2).
STAGES = (
    Stage(128, 3, False, False, False, False),
    Stage(256, 3, False, False, False, False),
    Stage(512, 5, True, True, True, False),
    Stage(1024, 5, False, True, False, True),
)


class Arch(NamedTuple):
    """Width and blocks per stage of a published size."""

    widen_factor: float
    depths: tuple[int, int, int, int]


# As above: PPLCNetV2_small, _base and _large.
ARCHS = {
    'small': Arch(0.75, (2, 2, 4, 2)),
    'base': Arch(1.0, (2, 2, 6, 2)),
    'large': Arch(1.25, (2, 2, 8, 2)),
}


class SigmoidSELayer(SELayer):
    """Squeeze-and-excitation of a quarter of the channels with a plain sigmoid as its gate.

    PaddleClas calls the gate ``hardsigmoid`` and computes a sigmoid.

    Args:
        channels: Channels of the input.

    Shapes:
        ``(N, channels, H, W)`` to the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels // 4)
        self.gate = nn.Sigmoid()


class RepDepthwiseConv(nn.Module):
    """Depthwise convolution that is the sum of parallel ones while training and folds into one for inference.

    Args:
        channels: Channels of the input and of the output.
        kernel_size: Side of the largest kernel; the others are 2, 4, … smaller.
        stride: Stride.
        dilation: Dilation of all branches.
        smallest_kernel: Side of the smallest kernel.
        norm_cfg: mm config of the norm of each branch.
        deploy: Whether to build the folded convolution, without branches and norm.

    Shapes:
        ``(N, channels, H, W)`` to ``(N, channels, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        smallest_kernel: int = 1,
        norm_cfg: Config,
        deploy: bool = False,
    ) -> None:
        super().__init__()
        self.branches: nn.ModuleList | None = None
        self.conv: nn.Conv2d | None = None
        if deploy:
            self.conv = nn.Conv2d(
                channels,
                channels,
                kernel_size,
                stride=stride,
                padding=(kernel_size - 1) // 2 * dilation,
                dilation=dilation,
                groups=channels,
            )
        else:
            self.branches = nn.ModuleList(
                ConvNormAct(
                    channels,
                    channels,
                    size,
                    stride=stride,
                    groups=channels,
                    dilation=dilation,
                    norm_cfg=norm_cfg,
                    act_cfg=None,
                )
                for size in range(kernel_size, smallest_kernel - 1, -2)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Run the convolution on ``(N, C, H, W)``."""
        result: Tensor
        if self.branches is None:
            assert self.conv is not None
            result = self.conv(x)
            return result
        first, *others = self.branches
        result = first(x)
        for branch in others:
            result = result + branch(x)
        return result

    def switch_to_deploy(self) -> None:
        """Fold the branches into one convolution with bias; a second call changes nothing.

        Branches whose norm is not a batch norm depend on the input, and stay as they are.
        """
        if self.branches is None:
            return
        branches: list[Any] = list(self.branches)
        if not all(isinstance(norm, _BatchNorm) for branch in branches for norm in list(branch)[1:]):
            return
        largest: nn.Conv2d = branches[0].conv
        conv = nn.Conv2d(
            largest.in_channels,
            largest.out_channels,
            largest.kernel_size,  # type: ignore[arg-type]  # torch annotates pairs as tuples of any length
            stride=largest.stride,  # type: ignore[arg-type]
            padding=largest.padding,  # type: ignore[arg-type]
            dilation=largest.dilation,  # type: ignore[arg-type]
            groups=largest.groups,
            device=largest.weight.device,
            dtype=largest.weight.dtype,
        )
        weights, biases = zip(*(_fold_branch(branch, largest.kernel_size[0]) for branch in branches), strict=True)
        assert conv.bias is not None
        with torch.no_grad():
            conv.weight.copy_(torch.stack(weights).sum(0))
            conv.bias.copy_(torch.stack(biases).sum(0))
        conv.train(self.training)
        conv.requires_grad_(largest.weight.requires_grad)
        self.conv = conv
        self.branches = None


def _fold_branch(branch: ConvNormAct, kernel_size: int) -> tuple[Tensor, Tensor]:
    """Return weight ``(C, 1, K, K)``, padded to ``kernel_size``, and bias ``(C,)`` of a branch, in float64."""
    conv, *norms = branch
    assert isinstance(conv, nn.Conv2d)
    weight = conv.weight.detach().double()
    if norms:
        norm: Any = norms[0]
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        if norm.affine:
            scale = scale * norm.weight.detach().double()
        bias = -norm.running_mean.double() * scale
        if norm.affine:
            bias = bias + norm.bias.detach().double()
        weight = weight * scale.reshape(-1, 1, 1, 1)
    else:
        assert conv.bias is not None
        bias = conv.bias.detach().double()
    margin = (kernel_size - weight.shape[-1]) // 2
    return F.pad(weight, [margin] * 4), bias


class RepDepthwiseSeparable(nn.Module):
    """Depthwise convolution, optional SE and one or two pointwise convolutions, each followed by an activation.

    The input is added after the last activation where the block has a shortcut. Source: PaddleClas
    ``pp_lcnet_v2.py``, whose names of modules it keeps but for ``dw_conv_list`` (here ``dw_conv.branches``) and
    ``pw_conv_1`` and ``pw_conv_2`` (here ``pw_conv.0`` and ``pw_conv.1``).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the depthwise kernel, or of the largest one.
        stride: Stride of the depthwise convolution.
        dilation: Dilation of the depthwise convolution.
        downsample: Whether the block is the first of a stage, also where its stride is given up for dilation: it then
            has no branch with kernel 1 and no shortcut.
        branches: Whether the depthwise convolution has parallel branches.
        use_se: Whether to put an SE before the pointwise convolution.
        split_pointwise: Whether there are two pointwise convolutions, with half of ``out_channels`` between them.
        shortcut: Whether to add the input where the shapes agree.
        deploy: Whether to build the branches folded.
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
        stride: int = 1,
        dilation: int = 1,
        downsample: bool = False,
        branches: bool = False,
        use_se: bool = False,
        split_pointwise: bool = False,
        shortcut: bool = False,
        deploy: bool = False,
        norm_cfg: Config,
        act_cfg: Config,
    ) -> None:
        super().__init__()
        cfgs: dict[str, Any] = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.dw_conv: nn.Module
        self.act: nn.Module | None = None
        if branches:
            self.dw_conv = RepDepthwiseConv(
                in_channels,
                kernel_size,
                stride=stride,
                dilation=dilation,
                smallest_kernel=3 if downsample else 1,
                norm_cfg=norm_cfg,
                deploy=deploy,
            )
            self.act = build_activation(act_cfg)
        else:
            self.dw_conv = ConvNormAct(
                in_channels, in_channels, kernel_size, stride=stride, groups=in_channels, dilation=dilation, **cfgs
            )
        self.se = SigmoidSELayer(in_channels) if use_se else None
        self.pw_conv: nn.Module
        if split_pointwise:
            middle = out_channels // 2
            self.pw_conv = nn.Sequential(
                ConvNormAct(in_channels, middle, 1, **cfgs), ConvNormAct(middle, out_channels, 1, **cfgs)
            )
        else:
            self.pw_conv = ConvNormAct(in_channels, out_channels, 1, **cfgs)
        self.use_shortcut = shortcut and not downsample and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Run the block on ``(N, C, H, W)``."""
        out = self.dw_conv(x)
        if self.act is not None:
            out = self.act(out)
        if self.se is not None:
            out = self.se(out)
        out = self.pw_conv(out)
        result: Tensor = out + x if self.use_shortcut else out
        return result


def check_depths(depths: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of blocks of the four stages, or raise a TypeError or ValueError that names the argument."""
    if isinstance(depths, str) or not isinstance(depths, Sequence):
        raise TypeError(f'depths must be a sequence of {len(STAGES)} integers, got {depths!r}')
    if len(depths) != len(STAGES):
        raise ValueError(f'depths must have {len(STAGES)} entries, got {depths!r}')
    return tuple(check_integer('depths', depth, 1) for depth in depths)


@MODELS.register_module()
class PPLCNetV2(StagedBackbone):
    """PP-LCNetV2 with the outputs of all five stages (strides 2, 4, 8, 16, 32).

    Stage 0 is ``stem``, stage ``i`` is ``stage{i}``. In stages 3 and 4 the depthwise convolutions have parallel
    branches while training; :meth:`switch_to_deploy` folds them, and the export does so by itself.

    Args:
        arch: 'small', 'base' or 'large': a width (0.75, 1.0, 1.25) and blocks per stage (2, 2, 4 | 6 | 8, 2).
        widen_factor: Width instead of that of ``arch``.
        depths: Blocks of the stages 1 to 4 instead of those of ``arch``.
        out_indices: Stages to return, 0 to 4 or negative, strictly increasing; an int means one. Stages after the
            last one are not built.
        act_cfg: mm config of the activation.
        output_stride: 32, or 16 or 8 to trade the last strides for dilation.
        in_channels: Channels of the input.
        norm_cfg: mm config of the norms. Branches fold with batch norms, or without norms.
        frozen_stages: Stages 0 to this one keep their weights and BN statistics; -1 freezes nothing.
        norm_eval: Whether all BN layers keep their running statistics while training.
        with_cp: Whether to recompute blocks in the backward pass instead of keeping their activations.
        deploy: Whether to build the branches folded, for the weights of a folded network.
        init_cfg: mm config of the initialisation; by default that of PaddleClas (Kaiming normal, fan_in).

    Shapes:
        ``(N, in_channels, H, W)`` to a tuple of ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it, what it was and what is allowed.
    """

    def __init__(
        self,
        arch: str = 'base',
        widen_factor: float | None = None,
        depths: Sequence[int] | None = None,
        out_indices: int | Sequence[int] = (1, 2, 3, 4),
        act_cfg: Config = dict(type='ReLU'),
        output_stride: int = 32,
        in_channels: int = 3,
        norm_cfg: Config = dict(type='BN'),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        deploy: bool = False,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = KAIMING_FAN_IN,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, with_cp, init_cfg)
        if not isinstance(arch, str) or arch not in ARCHS:
            raise ValueError(f'arch must be one of {tuple(ARCHS)}, got {arch!r}')
        width = check_positive('widen_factor', ARCHS[arch].widen_factor if widen_factor is None else widen_factor)
        blocks = check_depths(ARCHS[arch].depths if depths is None else depths)
        in_channels = check_integer('in_channels', in_channels, 1)
        strides = StrideSchedule(output_stride)
        cfgs: dict[str, Any] = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)

        stem_channels, channels = (make_divisible(value * width) for value in STEM_CHANNELS)
        stem_stride, _ = strides.take(2)
        stem = nn.Sequential(
            ConvNormAct(in_channels, stem_channels, 3, stride=stem_stride, **cfgs),
            RepDepthwiseSeparable(stem_channels, channels, 3, **cfgs),
        )
        self.add_stage({'stem': stem}, channels, strides.reduction)
        for stage, depth in zip(STAGES, blocks, strict=True):
            if self.complete:
                break
            out_channels = make_divisible(stage.out_channels * width)
            layers: list[nn.Module] = []
            for index in range(depth):
                stride, dilation = strides.take(2 if index == 0 else 1)
                layers.append(
                    RepDepthwiseSeparable(
                        channels,
                        out_channels,
                        stage.kernel_size,
                        stride=stride,
                        dilation=dilation,
                        downsample=index == 0,
                        branches=stage.branches,
                        use_se=stage.use_se,
                        split_pointwise=stage.split_pointwise,
                        shortcut=stage.shortcut,
                        deploy=deploy,
                        **cfgs,
                    )
                )
                channels = out_channels
            self.add_stage({f'stage{len(self.stages)}': nn.Sequential(*layers)}, channels, strides.reduction)
        self.train()

    def switch_to_deploy(self) -> None:
        """Fold all branches for inference, in place; the outputs in evaluation mode stay the same."""
        for module in self.modules():
            if isinstance(module, RepDepthwiseConv):
                module.switch_to_deploy()
