"""What an ONNX network computes, as a graph that does not depend on the exporter.

A convolution or linear layer, its bias and its batch norm are one node; ``x * clip(x + 3, 0, 6) / 6`` is one
activation; casts, reshapes and arithmetic on shapes are left out. A constant factor before a linear layer belongs to
the layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from ..utils.errors import UserError

Array = np.ndarray[Any, Any]

# They change the form of a tensor, not its values.
_FORMS = ('Identity', 'Cast', 'Dropout', 'Reshape', 'Transpose', 'Flatten', 'Squeeze', 'Unsqueeze')
# They compute shapes for the operators that need them.
_SHAPES = ('Shape', 'ConstantOfShape', 'Range', 'Gather', 'Slice', 'Expand')
_COMMUTING = ('mul', 'add')
PARAMETRIC = ('conv', 'linear', 'bn')


@dataclass
class Norm:
    """The four tensors of a batch norm, with their names, and its epsilon."""

    names: tuple[str, ...]
    values: tuple[Array, ...]
    eps: float


@dataclass
class Node:
    """One node of the graph.

    Attributes:
        op: What it computes.
        inputs: Indices of the nodes that it reads.
        attrs: What has to be equal in a network that computes the same.
        tensor: Name of its output in the file.
        weight: Name and values of its weight; ``(out, in, h, w)`` of a convolution, ``(in, out)`` of a linear layer.
        bias: Name and values of its bias.
        norm: The batch norm after it.
        factor: Multiplies the input of a linear layer.
    """

    op: str
    inputs: list[int]
    attrs: tuple[Any, ...] = ()
    tensor: str = ''
    weight: tuple[str, Array] | None = None
    bias: tuple[str, Array] | None = None
    norm: Norm | None = None
    factor: float = 1.0

    @property
    def name(self) -> str:
        """Name by which messages call the node."""
        return self.weight[0] if self.weight else self.norm.names[0] if self.norm else self.tensor

    def describe(self) -> str:
        """Return name and kind in a few words."""
        if self.op == 'conv':
            shape, strides, _, _, groups = self.attrs
            kind = 'depthwise ' if groups == shape[0] > 1 else ''
            stride = strides[0] if strides[0] == strides[1] else f'{strides[0]}x{strides[1]}'
            return (
                f'{self.name} ({kind}convolution {shape[2]}x{shape[3]}, {shape[1] * groups} to {shape[0]} channels, '
                f'stride {stride})'
            )
        if self.op == 'linear':
            return f'{self.name} (linear, {self.attrs[0]} to {self.attrs[1]})'
        return f'{self.name} ({self.op})'


@dataclass
class Graph:
    """The nodes of a network in the order of their computation.

    Attributes:
        nodes: All nodes.
        outputs: Indices of the nodes that the network returns.
    """

    nodes: list[Node] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def ancestors(self, of: list[int]) -> set[int]:
        """Return the nodes with these indices and all that they depend on."""
        found: set[int] = set()
        todo = list(of)
        while todo:
            index = todo.pop()
            if index not in found:
                found.add(index)
                todo += self.nodes[index].inputs
        return found


def read_graph(model: onnx.ModelProto) -> Graph:
    """Return what a network computes.

    Raises:
        UserError: the network is damaged.
    """
    return _Reader(model).graph


class _Reader:
    """Goes through the operators of a model once and adds their nodes to ``graph``."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = Graph()
        self.constants: dict[str, Array] = {}
        # The node that computes a tensor.
        self.node_of: dict[str, int] = {}
        for tensor in model.graph.initializer:
            try:
                self.constants[tensor.name] = numpy_helper.to_array(tensor)
            except (ValueError, TypeError, MemoryError) as error:
                raise UserError(f'tensor {tensor.name} is damaged: {error}') from error
        for value in model.graph.input:
            if value.name not in self.constants:
                self._add(Node('input', []), value.name)
        for operator in model.graph.node:
            try:
                self._visit(operator)
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise UserError(
                    f'operator {operator.name or operator.output[0]} ({operator.op_type}) is damaged: {error}'
                ) from error
        self.graph.outputs = [self.node_of[value.name] for value in model.graph.output if value.name in self.node_of]

    def _add(self, node: Node, tensor: str) -> None:
        node.tensor = tensor
        self.graph.nodes.append(node)
        self.node_of[tensor] = len(self.graph.nodes) - 1

    def _extend(self, index: int, tensor: str) -> None:
        """Let a node compute one more step, so that its output is another tensor."""
        self.graph.nodes[index].tensor = tensor
        self.node_of[tensor] = index

    def _scalar(self, name: str) -> float | None:
        value = self.constants.get(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def _visit(self, operator: onnx.NodeProto) -> None:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in operator.attribute}
        kind, out = operator.op_type, operator.output[0]
        if kind == 'Constant':
            value = next(iter(attributes.values()))
            self.constants[out] = (
                numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.array(value)
            )
            return
        if kind in _FORMS:
            self._change_form(operator, attributes)
            return
        data = [self.node_of[name] for name in operator.input if name in self.node_of]
        if kind in _SHAPES or not data:
            return
        known = [name for name in operator.input if name in self.constants]
        handler = getattr(self, f'_visit_{kind.lower()}', None)
        if handler is None or not handler(operator, attributes, data, known):
            self._add(Node(kind.lower(), data), out)
            for tensor in operator.output[1:]:
                self.node_of[tensor] = self.node_of[out]

    def _change_form(self, operator: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        source, out = operator.input[0], operator.output[0]
        if source in self.node_of:
            self.node_of[out] = self.node_of[source]
        elif source in self.constants:
            value = self.constants[source]
            if operator.op_type == 'Transpose':
                value = value.transpose(attributes.get('perm'))
            elif operator.op_type == 'Reshape' and operator.input[1] in self.constants:
                value = value.reshape(self.constants[operator.input[1]].astype(int).tolist())
            self.constants[out] = value

    def _visit_conv(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        name = operator.input[1]
        weight = self.constants[name]
        if weight.ndim != 4 or attributes.get('auto_pad', b'NOTSET') != b'NOTSET':
            return False
        attrs = (
            weight.shape,
            tuple(attributes.get('strides', (1, 1))),
            tuple(attributes.get('pads', (0, 0, 0, 0))),
            tuple(attributes.get('dilations', (1, 1))),
            attributes.get('group', 1),
        )
        node = Node('conv', data, attrs, weight=(name, weight))
        if len(operator.input) > 2:
            node.bias = (operator.input[2], self.constants[operator.input[2]])
        self._add(node, operator.output[0])
        return True

    def _visit_batchnormalization(
        self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]
    ) -> bool:
        names = tuple(operator.input[1:5])
        norm = Norm(names, tuple(self.constants[name] for name in names), float(attributes.get('epsilon', 1e-5)))
        before = self.graph.nodes[data[0]]
        if before.op == 'conv' and before.norm is None and before.tensor == operator.input[0]:
            before.norm = norm
            self._extend(data[0], operator.output[0])
        else:
            self._add(Node('bn', data, norm.values[0].shape, norm=norm), operator.output[0])
        return True

    def _visit_add(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        if len(data) != 1 or not known:
            return False
        value = self.constants[known[0]]
        node = self.graph.nodes[data[0]]
        if value.size == _out_channels(node) and node.bias is None and node.norm is None:
            node.bias = (known[0], value.reshape(-1))
            self._extend(data[0], operator.output[0])
        elif value.size == 1:
            self._add(Node('add_constant', data, (round(float(value.reshape(-1)[0]), 6),)), operator.output[0])
        else:
            return False
        return True

    def _visit_clip(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        if len(operator.input) > 1:
            bounds = tuple(self._scalar(name) for name in operator.input[1:3])
        else:
            bounds = (attributes.get('min'), attributes.get('max'))
        self._add(Node('clip', data, bounds), operator.output[0])
        return True

    def _visit_mul(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        if len(data) == 1 and known:
            return self._scale(operator.output[0], data[0], self._scalar(known[0]))
        if len(data) != 2:
            return False
        for x, gate in (data, data[::-1]):
            node = self.graph.nodes[gate]
            if node.op == 'hardsigmoid' and node.inputs == [x] and node.attrs == _HSWISH_GATE:
                self._add(Node('hardswish', [x]), operator.output[0])
                return True
            if node.op == 'clip' and node.attrs == (0.0, 6.0):
                shifted = self.graph.nodes[node.inputs[0]]
                if shifted.op == 'add_constant' and shifted.attrs == (3.0,) and shifted.inputs == [x]:
                    self._add(Node('hardswish_times_6', [x]), operator.output[0])
                    return True
        return False

    def _visit_div(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        divisor = self._scalar(known[0]) if known and operator.input[1] == known[0] else None
        return divisor is not None and divisor != 0 and self._scale(operator.output[0], data[0], 1 / divisor)

    def _scale(self, tensor: str, source: int, factor: float | None) -> bool:
        if factor is None:
            return False
        node = self.graph.nodes[source]
        if node.op == 'hardswish_times_6' and abs(factor * 6 - 1) < 1e-5:
            self._add(Node('hardswish', node.inputs), tensor)
        else:
            self._add(Node('scale', [source], (round(factor, 5),), factor=factor), tensor)
        return True

    def _visit_hardsigmoid(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        gate = (round(attributes.get('alpha', 0.2), 4), round(attributes.get('beta', 0.5), 4))
        self._add(Node('hardsigmoid', data, gate), operator.output[0])
        return True

    def _visit_globalaveragepool(
        self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]
    ) -> bool:
        self._add(Node('global_average', data), operator.output[0])
        return True

    def _visit_reducemean(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        axes = attributes.get('axes') or (self.constants[known[0]].tolist() if known else [])
        if sorted(axis % 4 for axis in axes) != [2, 3]:
            return False
        self._add(Node('global_average', data), operator.output[0])
        return True

    def _visit_matmul(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        if len(data) != 1 or operator.input[1] not in self.constants:
            return False
        name = operator.input[1]
        weight = self.constants[name]
        if weight.ndim != 2:
            return False
        weight = weight.T if attributes.get('transB') else weight
        source, factor = data[0], float(attributes.get('alpha', 1.0))
        before = self.graph.nodes[source]
        if before.op == 'scale':
            source, factor = before.inputs[0], factor * before.factor
        node = Node('linear', [source], weight.shape, weight=(name, weight), factor=factor)
        if operator.op_type == 'Gemm' and len(operator.input) > 2:
            node.bias = (operator.input[2], self.constants[operator.input[2]].reshape(-1))
        self._add(node, operator.output[0])
        return True

    _visit_gemm = _visit_matmul

    def _visit_resize(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        attrs = (
            attributes.get('mode', b'nearest'),
            attributes.get('coordinate_transformation_mode', b'half_pixel'),
            attributes.get('nearest_mode', b'') if attributes.get('mode', b'nearest') == b'nearest' else b'',
        )
        # The size may be computed from the input, which is a form, not a value.
        self._add(Node('resize', data[:1], attrs), operator.output[0])
        return True

    def _visit_concat(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        if len(data) != len(operator.input):
            return bool(known)
        self._add(Node('concat', data, (attributes['axis'] % 4,)), operator.output[0])
        return True

    def _visit_split(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        sizes = self.constants[known[0]].tolist() if known else list(attributes.get('split', ()))
        for index, tensor in enumerate(operator.output):
            self._add(Node('split', data, (tuple(sizes), index)), tensor)
        return True

    def _visit_maxpool(self, operator: Any, attributes: dict[str, Any], data: list[int], known: list[str]) -> bool:
        attrs = (tuple(attributes['kernel_shape']), tuple(attributes.get('strides', (1, 1))))
        self._add(Node('maxpool', data, attrs), operator.output[0])
        return True


# The hard sigmoid inside of a hard swish.
_HSWISH_GATE = (0.1667, 0.5)


def _out_channels(node: Node) -> int:
    """Return the channels that a convolution or linear layer computes; 0 for other nodes."""
    if node.op == 'conv':
        return int(node.attrs[0][0])
    return int(node.attrs[1]) if node.op == 'linear' else 0


def is_commuting(node: Node) -> bool:
    """Return whether the order of a node's inputs does not matter."""
    return node.op in _COMMUTING
