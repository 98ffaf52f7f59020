"""The base of the backbones: output contract, freezing, activation checkpointing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

# Of a layer or a feature: one for both sides, or a pair (h, w).
Stride = int | tuple[int, int]

_NUM_STAGES = 5
_OUTPUT_STRIDES = (8, 16, 32)

# Source: PaddleClas (KaimingNormal over the stored weight, that is fan_in; zero biases, BN at 1 and 0);
# docs/specification/pplcnet.md#initialization.
KAIMING_FAN_IN: list[dict[str, Any]] = [
    dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='relu'),
    dict(type='Constant', layer=['_BatchNorm', 'GroupNorm'], val=1, bias=0),
]


def check_positive(name: str, value: float) -> float:
    """Return ``value`` as a float; raise a TypeError or ValueError that names it unless it is finite and above 0."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f'{name} must be a number such as 0.5 or 1.0, got {value!r}')
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f'{name} must be a finite number above 0, got {value!r}')
    return float(value)


def check_integer(name: str, value: int, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int; raise a TypeError or ValueError that names it unless it is in ``[low, high]``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f'{name} must be an integer, got {value!r}')
    if value < low or (high is not None and value > high):
        allowed = f'at least {low}' if high is None else f'between {low} and {high}'
        raise ValueError(f'{name} must be {allowed}, got {value}')
    return int(value)


def _check_out_indices(out_indices: int | Sequence[int]) -> tuple[int, ...]:
    """Return the stage indices as a strictly increasing tuple of non-negative ints, or raise."""
    given: Any = (out_indices,) if isinstance(out_indices, Integral) else out_indices
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) == 0:
        raise TypeError(f'out_indices must be an int or a non-empty sequence of ints, got {out_indices!r}')
    resolved = []
    for index in given:
        index = check_integer('out_indices', index, -_NUM_STAGES, _NUM_STAGES - 1)
        resolved.append(index % _NUM_STAGES)
    if any(a >= b for a, b in pairwise(resolved)):
        raise ValueError(f'out_indices must be strictly increasing, got {out_indices!r}')
    return tuple(resolved)


class StrideSchedule:
    """Assigns strides to layers until the output stride is reached, and dilation afterwards.

    A stride that is replaced dilates the layers after it, not the layer itself. Each kernel then covers the same pixels
    as with the stride.

    Args:
        output_stride: 8, 16 or 32.

    Attributes:
        reduction: Product of the strides assigned so far.
    """

    def __init__(self, output_stride: int) -> None:
        if output_stride not in _OUTPUT_STRIDES:
            raise ValueError(f'output_stride must be one of {_OUTPUT_STRIDES}, got {output_stride!r}')
        self.output_stride = output_stride
        self.reduction: Stride = 1
        self.dilation = 1

    def take(self, stride: int) -> tuple[int, int]:
        """Return the stride and the dilation of the next layer, whose nominal stride is ``stride``."""
        assert isinstance(self.reduction, int), 'after a pair, a stride cannot become a dilation'
        dilation = self.dilation
        if self.reduction * stride <= self.output_stride:
            self.reduction *= stride
            return stride, dilation
        self.dilation *= stride
        return 1, dilation

    def take_pair(self, stride: tuple[int, int]) -> Stride:
        """Return the stride of the next layer for a pair (h, w); without an ``output_stride`` below 32 only."""
        height, width = _as_pair(self.reduction)
        self.reduction = _as_stride((height * stride[0], width * stride[1]))
        return _as_stride(stride)


def check_strides(strides: Sequence[Stride], output_stride: int) -> tuple[tuple[int, int], ...]:
    """Return the strides of the stages as pairs (h, w), or raise a TypeError or ValueError that names them."""
    if isinstance(strides, str) or not isinstance(strides, Sequence):
        raise TypeError(f'strides must be a sequence of ints or pairs (h, w), got {strides!r}')
    if len(strides) != _NUM_STAGES:
        raise ValueError(f'strides must have {_NUM_STAGES} entries, one for each stage, got {strides!r}')
    pairs = []
    for stride in strides:
        sides: Any = (stride, stride) if isinstance(stride, Integral) else stride
        if isinstance(sides, str) or not isinstance(sides, Sequence) or len(sides) != 2:
            raise TypeError(f'each of strides must be an int or a pair (h, w), got {stride!r}')
        pairs.append((check_integer('strides', sides[0], 1, 2), check_integer('strides', sides[1], 1, 2)))
    if output_stride != max(_OUTPUT_STRIDES) and any(pair != (2, 2) for pair in pairs):
        raise ValueError(f'output_stride must be {max(_OUTPUT_STRIDES)} if strides are given, got {output_stride}')
    return tuple(pairs)


def _as_pair(stride: Stride) -> tuple[int, int]:
    return (stride, stride) if isinstance(stride, int) else stride


def _as_stride(pair: tuple[int, int]) -> Stride:
    return pair[0] if pair[0] == pair[1] else pair


class StagedBackbone(BaseModule):
    """A chain of five stages with strides 2, 4, 8, 16 and 32, any of which can be an output.

    A subclass adds its modules in order through :meth:`add_stage`. Stages after the last output are not built, because
    their parameters would never get a gradient.

    Args:
        out_indices: Stages to return, from 0 to 4 or negative, strictly increasing; an int selects one stage.
        frozen_stages: Last stage whose weights and BN statistics are frozen, with all stages before it; -1 freezes
            none.
        norm_eval: Whether BN layers keep their running statistics during training.
        with_cp: Whether to recompute blocks in the backward pass instead of keeping their activations.
        init_cfg: mm config of the initialization or of the pretrained weights.

    Attributes:
        feature_info: For each output, its channels ``num_chs``, its stride ``reduction``, a pair (h, w) where the sides
            differ, and the name of the ``module`` that computes it.
        out_channels: Channels of each output.
    """

    def __init__(
        self,
        out_indices: int | Sequence[int],
        frozen_stages: int,
        norm_eval: bool,
        with_cp: bool,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_indices = _check_out_indices(out_indices)
        self.frozen_stages = check_integer('frozen_stages', frozen_stages, -1, _NUM_STAGES - 1)
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.stages: list[tuple[str, ...]] = []
        self.feature_info: list[dict[str, Any]] = []

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of each output."""
        return tuple(info['num_chs'] for info in self.feature_info)

    @property
    def complete(self) -> bool:
        """Whether every stage up to the last output has been added."""
        return len(self.stages) > self.out_indices[-1]

    def add_stage(self, modules: dict[str, nn.Module], channels: int, reduction: Stride) -> None:
        """Append a stage of named modules whose output has ``channels`` channels and stride ``reduction``."""
        for name, module in modules.items():
            self.add_module(name, module)
        if len(self.stages) in self.out_indices:
            self.feature_info.append(dict(num_chs=channels, reduction=reduction, module=list(modules)[-1]))
        self.stages.append(tuple(modules))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the features.

        Args:
            x: Images ``(N, in_channels, H, W)``.

        Returns:
            One ``(N, C_i, ceil(H / s_i), ceil(W / s_i))`` per entry of ``out_indices``.
        """
        outputs = []
        for index, names in enumerate(self.stages):
            for name in names:
                x = self._run(getattr(self, name), x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)

    def _run(self, module: nn.Module, x: Tensor) -> Tensor:
        if not (self.with_cp and self.training and x.requires_grad):
            result: Tensor = module(x)
            return result
        blocks = module if isinstance(module, nn.Sequential) else [module]
        for block in blocks:
            x = checkpoint(block, x, use_reentrant=False, context_fn=partial(_recompute_contexts, block))
        return x

    def train(self, mode: bool = True) -> StagedBackbone:
        """Set the mode; frozen stages, and with ``norm_eval`` all BN layers, stay in evaluation mode."""
        super().train(mode)
        for names in self.stages[: self.frozen_stages + 1]:
            for name in names:
                getattr(self, name).eval().requires_grad_(False)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def _recompute_contexts(block: nn.Module) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Return the contexts of the forward pass and of the recomputation of a checkpointed block."""
    return nullcontext(), _frozen_statistics(block)


@contextmanager
def _frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Keep a recomputation from updating the running statistics with the same batch a second time."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
