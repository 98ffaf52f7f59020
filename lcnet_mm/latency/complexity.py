"""Count parameters, multiply-adds and FLOPs as the papers do, layer by layer in one forward pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from ..backbones.base import StagedBackbone
from ..utils.models import fold_branches


@dataclass
class Row:
    """The cost of one part of a model.

    Attributes:
        name: Path of the part inside the model; 'total' for the whole.
        params: Number of parameters, trainable or frozen, without the statistics of batch norms.
        macs: Multiply-adds of convolutions and linear layers, one for each weight and output position.
        bn_elements: Number of outputs of batch norms.
    """

    name: str
    params: int = 0
    macs: int = 0
    bn_elements: int = 0

    @property
    def flops(self) -> int:
        """FLOPs as PaddleClas and the PP-LCNet paper count them: 1 per multiply-add, 2 per output of a batch norm."""
        return self.macs + 2 * self.bn_elements

    @property
    def zoo_flops(self) -> int:
        """FLOPs as PaddleDetection's model zoo counts them: 2 per multiply-add, 2 per output of a batch norm."""
        return 2 * self.macs + 2 * self.bn_elements

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON types."""
        return dict(
            name=self.name,
            params=self.params,
            macs=self.macs,
            bn_elements=self.bn_elements,
            flops=self.flops,
            zoo_flops=self.zoo_flops,
        )


@dataclass
class Complexity:
    """What :func:`measure` counted.

    Attributes:
        input_shape: ``(C, H, W)``.
        total: The whole model.
        parts: Its parts. A backbone is followed by its stages, which are named ``backbone.stage0`` and so on.
    """

    input_shape: tuple[int, int, int]
    total: Row
    parts: list[Row] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON types."""
        return dict(
            input_shape=list(self.input_shape),
            total=self.total.to_dict(),
            parts=[part.to_dict() for part in self.parts],
        )

    def format_table(self) -> str:
        """Return the counts as text, in millions."""
        rows = [*self.parts, self.total]
        names = ['  ' * row.name.count('.') + row.name for row in rows]
        width = max(map(len, names))
        shape = 'x'.join(map(str, self.input_shape))
        lines = [
            f'input {shape}; counts in millions',
            f'{"part":<{width}}  {"params":>9}  {"MACs":>10}  {"FLOPs":>10}  {"zoo FLOPs":>10}',
        ]
        lines += [
            f'{name:<{width}}  {row.params / 1e6:>9.4f}  {row.macs / 1e6:>10.3f}  {row.flops / 1e6:>10.3f}'
            f'  {row.zoo_flops / 1e6:>10.3f}'
            for name, row in zip(names, rows, strict=True)
        ]
        return '\n'.join(lines)


def measure(model: nn.Module, input_shape: tuple[int, int, int]) -> Complexity:
    """Count the cost of a model for one input size and batch 1, with branches folded as at the export.

    Args:
        model: A backbone or a whole model of an mm library. It runs once in evaluation mode; afterwards every module is
            in the mode that it was in before.
        input_shape: ``(C, H, W)``.
    """
    model = fold_branches(model)
    costs: dict[nn.Module, tuple[int, int]] = {}

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        macs, elements = costs.get(module, (0, 0))
        if isinstance(module, _BatchNorm):
            costs[module] = macs, elements + output.numel()
        else:
            assert isinstance(module.weight, Tensor)
            # weight[0] has the weights of one output channel, or of one input channel in a transposed convolution.
            positions = inputs[0] if isinstance(module, _ConvTransposeNd) else output
            costs[module] = macs + positions.numel() * module.weight[0].numel(), elements

    handles = [
        module.register_forward_hook(count)
        for module in model.modules()
        if isinstance(module, _ConvNd | nn.Linear | _BatchNorm)
    ]
    modes = {module: module.training for module in model.modules()}
    device = next(model.parameters()).device
    try:
        model.eval()
        with torch.no_grad():
            image = torch.zeros(1, *input_shape, device=device)
            model(image, mode='tensor') if isinstance(model, BaseModel) else model(image)
    finally:
        # Not train(): parts may have been in evaluation mode, as frozen stages are.
        for module, training in modes.items():
            module.training = training
        for handle in handles:
            handle.remove()

    def row(name: str, *modules: nn.Module) -> Row:
        result = Row(name)
        for part in modules:
            result.params += sum(p.numel() for p in part.parameters())
            for module in part.modules():
                macs, elements = costs.get(module, (0, 0))
                result.macs += macs
                result.bn_elements += elements
        return result

    def stages(prefix: str, backbone: StagedBackbone) -> list[Row]:
        return [
            row(f'{prefix}stage{index}', *(getattr(backbone, name) for name in names))
            for index, names in enumerate(backbone.stages)
        ]

    parts: list[Row] = []
    if isinstance(model, StagedBackbone):
        parts = stages('', model)
    else:
        for name, child in model.named_children():
            if any(True for _ in child.parameters()):
                parts.append(row(name, child))
                if isinstance(child, StagedBackbone):
                    parts += stages(f'{name}.', child)
    return Complexity(input_shape, row('total', model), parts)
