"""Weights of networks that were published as ONNX files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from ..data.classes import class_count
from ..data.spec import resolve_config
from ..utils.config import load_config
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.models import build_model, flatten_tensors
from .onnx_graph import Graph, Node, read_graph
from .onnx_match import Matching, match

# Largest difference of the outputs of the two networks, relative to the largest value.
TOLERANCE = 1e-4
_DEFAULT_SIZE = (224, 224)
_MAX_SIDE = 4096
# Elements of the largest tensor that a file may compute; the network at 800x608 has 15 million.
_MAX_ELEMENTS = 2**28
# What a network of convolutions needs up to its last weights. Operators that can make large tensors from nothing, and
# loops, are not among them.
# fmt: off
_RUNNABLE = frozenset((
    'Add', 'AveragePool', 'BatchNormalization', 'Cast', 'Ceil', 'Clip', 'Concat', 'Constant', 'Conv', 'Div',
    'Dropout', 'Flatten', 'Floor', 'Gather', 'Gemm', 'GlobalAveragePool', 'HardSigmoid', 'HardSwish', 'Identity',
    'LeakyRelu', 'MatMul', 'MaxPool', 'Mul', 'ReduceMax', 'ReduceMean', 'Relu', 'Reshape', 'Resize', 'Shape',
    'Sigmoid', 'Slice', 'Softmax', 'Split', 'Sqrt', 'Squeeze', 'Sub', 'Transpose', 'Unsqueeze',
))
# fmt: on


class OnnxFile:
    """An ONNX file that is only read: no external data, no custom operators.

    Args:
        path: The file.

    Attributes:
        model: Its content.
        classes: Names of the classes from the metadata, or None.
        size: Height and width of the input where they are fixed, or None.

    Raises:
        UserError: the file is missing, truncated, or not a plain network.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f'{path} does not exist')
        try:
            self.model = onnx.load(str(path), load_external_data=False)
            inputs = [value for value in self.model.graph.input if value.name not in self._initialized()]
        except (DecodeError, OSError, ValueError, RuntimeError) as error:
            raise UserError(f'{path} is truncated or not an ONNX file; copy it again') from error
        if not self.model.graph.node or not inputs or not self.model.graph.output:
            raise UserError(f'{path} is truncated or not an ONNX file: it has no network; copy it again')
        self._refuse_what_is_not_plain()
        self.input = inputs[0].name
        if len(inputs) != 1:
            raise UserError(f'{path} has {len(inputs)} inputs, expected one image: {", ".join(v.name for v in inputs)}')
        sides = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim]
        if len(sides) != 4:
            raise UserError(f'{path}: its input {self.input} has {len(sides)} dimensions, expected (N, C, H, W)')
        if max(sides) > _MAX_SIDE:
            raise UserError(f'{path}: its input {self.input} has a side of {max(sides)}, more than {_MAX_SIDE}')
        self.size: tuple[int, int] | None = (sides[2], sides[3]) if min(sides[2:]) > 0 else None
        self.classes = self._read_classes()

    def _initialized(self) -> set[str]:
        return {tensor.name for tensor in self.model.graph.initializer}

    def _refuse_what_is_not_plain(self) -> None:
        constants = [
            attribute.t
            for node in self.model.graph.node
            for attribute in node.attribute
            if attribute.type == onnx.AttributeProto.TENSOR
        ]
        for tensor in (*self.model.graph.initializer, *constants):
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                raise UserError(
                    f'{self.path} is refused: tensor {tensor.name} lies in another file; export or save it as one file'
                )
        for node in self.model.graph.node:
            if node.domain not in ('', 'ai.onnx'):
                raise UserError(
                    f'{self.path} is refused: operator {node.op_type} of {node.domain} is not one of ONNX; export the '
                    'network without it'
                )
            if not node.output:
                raise UserError(f'{self.path} is damaged: operator {node.op_type} has no output; copy it again')

    def _read_classes(self) -> tuple[str, ...] | None:
        """Read the names from Paddle's metadata, or from ``model.json`` next to an export of this package."""
        metadata = {entry.key: entry.value for entry in self.model.metadata_props}
        if metadata.get('character'):
            return tuple(metadata['character'].splitlines())
        description = self.path.with_name('model.json')
        if not description.is_file():
            return None
        try:
            content = json.loads(description.read_text(encoding='utf-8'))
            if Path(content['model']).stem != self.path.stem:
                return None
            return tuple(map(str, content['classes']))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f'{description} is not the description of an export: {error}; remove it') from error

    def run(self, ends: list[Node], image: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
        """Compute the outputs of nodes, with only the operators that lead to them.

        Args:
            ends: Nodes of the file.
            image: The input ``(1, C, H, W)``, float32.

        Raises:
            UserError: an operator cannot be part of such a network, or the network cannot be run.
        """
        import onnxruntime

        part = self._part(ends, image.shape)
        try:
            inferred = onnx.shape_inference.infer_shapes(part, data_prop=True)
        except (RuntimeError, ValueError) as error:
            raise UserError(f'{self.path} cannot be run: {_one_line(error)}') from error
        for value in inferred.graph.value_info:
            elements = np.prod([float(max(dim.dim_value, 1)) for dim in value.type.tensor_type.shape.dim])
            if elements > _MAX_ELEMENTS:
                raise UserError(f'{self.path} is refused: its tensor {value.name} would have {elements:.3g} elements')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(
                part.SerializeToString(), options, providers=['CPUExecutionProvider']
            )
            return cast('list[np.ndarray[Any, Any]]', session.run([end.tensor for end in ends], {self.input: image}))
        # ONNX Runtime has an exception class for each of its error codes, without a common base.
        except Exception as error:
            raise UserError(f'{self.path} cannot be run: {_one_line(error)}') from error

    def _part(self, ends: list[Node], shape: tuple[int, ...]) -> onnx.ModelProto:
        """Return the network up to the outputs of nodes, for an input of one shape."""
        maker = {tensor: node for node in self.model.graph.node for tensor in node.output}
        needed: dict[int, Any] = {}
        todo = [end.tensor for end in ends]
        read = set(todo)
        while todo:
            node = maker.get(todo.pop())
            if node is None or id(node) in needed:
                continue
            if node.op_type not in _RUNNABLE:
                raise UserError(
                    f'{self.path} is refused: operator {node.op_type} is not expected before its last weights'
                )
            needed[id(node)] = node
            todo += node.input
            read.update(node.input)
        graph = onnx.helper.make_graph(
            [node for node in self.model.graph.node if id(node) in needed],
            'part',
            [onnx.helper.make_tensor_value_info(self.input, onnx.TensorProto.FLOAT, shape)],
            [onnx.helper.make_tensor_value_info(end.tensor, onnx.TensorProto.FLOAT, None) for end in ends],
            [tensor for tensor in self.model.graph.initializer if tensor.name in read],
        )
        opsets = [entry for entry in self.model.opset_import if entry.domain in ('', 'ai.onnx')]
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=min(self.model.ir_version, 10))


def read_onnx_weights(src: str | Path, config: str | Path) -> tuple[dict[str, Tensor], dict[str, str], OnnxFile]:
    """Take the weights of an ONNX file for the model of a config, and prove that both compute the same.

    Args:
        src: The file, exported by paddle2onnx or by this package.
        config: A config of the same network.

    Returns:
        The tensors by their names in the model, the name in the model of each name in the file, and the file.

    Raises:
        UserError: the file cannot be read, its network is another one, or the two compute different outputs.
    """
    file = OnnxFile(src)
    cfg = load_config(config)
    count = _count_classes(cfg)
    if file.classes and count and len(file.classes) != count:
        raise UserError(
            f'{src} names {len(file.classes)} classes, {config} has {count}; set its num_classes to {len(file.classes)}'
        )
    with as_user_error(f'the model of {config} cannot be built', *BUILD_ERRORS):
        model = build_model(cfg).eval()
        spec = resolve_config(cfg)
    size = file.size or (spec.input_size[::-1] if spec.input_size else _DEFAULT_SIZE)
    with as_user_error(f'the model of {config} cannot be traced', *BUILD_ERRORS):
        ours = _trace(model, (1, spec.channels, *size))
    try:
        matching = match(read_graph(file.model), ours)
        state, used = _take(matching)
    except UserError as error:
        raise UserError(f'{src} is not the network of {config}: {error}') from error
    wanted = {key for key in model.state_dict() if 'num_batches_tracked' not in key}
    missing = sorted(wanted - state.keys())
    if missing:
        raise UserError(f'{src} has no weights for {len(missing)} tensors of {config} (first: {missing[0]})')
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise UserError(f'{src}: the values of {name} are not finite; download or export it again')
    model.load_state_dict(state, strict=False)
    _verify(file, model, matching, (1, spec.channels, *size))
    return state, used, file


def _count_classes(cfg: Any) -> int | None:
    """Return the number of classes of a config's model."""
    return class_count(cfg) or cfg.model.get('num_classes')


class _Forward(nn.Module):
    """The network without pre- and postprocessing, with a flat tuple of outputs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Run ``(N, C, H, W)``."""
        return tuple(flatten_tensors(self.model(x, mode='tensor')))


def _trace(model: nn.Module, shape: tuple[int, ...]) -> Graph:
    """Return the graph of a model, whose weights are overwritten."""
    with torch.no_grad():
        # The exporter would merge tensors of equal values.
        for index, tensor in enumerate(model.state_dict().values()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.5 + index)
    buffer = io.BytesIO()
    torch.onnx.export(
        _Forward(model).eval(),
        (torch.zeros(shape),),
        buffer,  # type: ignore[arg-type]  # torch's annotation lacks files
        dynamo=False,
        opset_version=14,
        # Batch norms stay apart from their convolutions.
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    traced = onnx.load_model_from_string(buffer.getvalue())
    # The names of the state dict.
    for tensor in traced.graph.initializer:
        tensor.name = tensor.name.removeprefix('model.')
    for node in traced.graph.node:
        node.input[:] = [name.removeprefix('model.') for name in node.input]
    return read_graph(traced)


def _take(matching: Matching) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of the model with the values of the file, and the names of both.

    Raises:
        UserError: a node of the file has a bias or a batch norm that the model cannot express.
    """
    state: dict[str, np.ndarray[Any, Any]] = {}
    used: dict[str, str] = {}
    for theirs, ours in matching.pairs:
        if theirs.weight and ours.weight:
            weight = theirs.weight[1]
            # torch stores a linear layer as (out, in).
            state[ours.weight[0]] = weight.T * theirs.factor if ours.op == 'linear' else weight
            used[theirs.weight[0]] = ours.weight[0]
        if ours.norm:
            state.update(_norm_values(theirs, ours))
            if theirs.norm:
                used.update(zip(theirs.norm.names, ours.norm.names, strict=True))
        elif theirs.norm:
            raise UserError(f'{theirs.describe()} has a batch norm, the model has none there')
        if ours.bias:
            if theirs.bias is None:
                raise UserError(f'{theirs.describe()} has no bias, the model has {ours.bias[0]}')
            state[ours.bias[0]] = theirs.bias[1]
        elif theirs.bias and not ours.norm:
            raise UserError(f'{theirs.describe()} has the bias {theirs.bias[0]}, the model has none there')
        if theirs.bias and ours.bias:
            used[theirs.bias[0]] = ours.bias[0]
    tensors = {key: torch.from_numpy(np.array(value, dtype=np.float32, order='C')) for key, value in state.items()}
    return tensors, used


def _norm_values(theirs: Node, ours: Node) -> dict[str, np.ndarray[Any, Any]]:
    """Return the tensors of the model's batch norm; one that was folded becomes one that does nothing but shift."""
    assert ours.norm is not None
    keys = ours.norm.names
    bias = theirs.bias[1] if theirs.bias else 0.0
    if theirs.norm is None:
        if theirs.bias is None:
            raise UserError(f'{theirs.describe()} has neither a batch norm nor a bias, the model has {keys[0]}')
        ones = np.ones_like(bias)
        return dict(zip(keys, (ones * np.sqrt(1 + ours.norm.eps), bias, 0 * ones, ones), strict=True))
    weight, shift, mean, variance = theirs.norm.values
    # The model's epsilon may differ.
    return dict(zip(keys, (weight, shift, mean - bias, variance + theirs.norm.eps - ours.norm.eps), strict=True))


def _verify(file: OnnxFile, model: nn.Module, matching: Matching, shape: tuple[int, ...]) -> None:
    """Run both on random input and compare the outputs of the last nodes with weights.

    Raises:
        UserError: they differ.
    """
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = file.run([theirs for theirs, _ in matching.ends], image)
    modules = dict(model.named_modules())
    outputs: dict[str, Tensor] = {}
    hooks = []
    names = []
    for _, ours in matching.ends:
        last = ours.norm.names[0] if ours.norm else cast('tuple[str, Any]', ours.weight)[0]
        names.append(last.rpartition('.')[0])

    def keep(name: str) -> Any:
        return lambda module, inputs, output: outputs.__setitem__(name, output)

    hooks = [modules[name].register_forward_hook(keep(name)) for name in names]
    try:
        with torch.no_grad():
            model(torch.from_numpy(image), mode='tensor')
    finally:
        for hook in hooks:
            hook.remove()
    for name, values in zip(names, expected, strict=True):
        result = outputs[name].numpy()
        if result.size != values.size:
            raise UserError(f'{file.path} and the model differ at {name}: {values.shape} against {result.shape}')
        error = np.abs(result.reshape(-1) - values.reshape(-1)).max() / max(np.abs(values).max(), 1e-12)
        if not error <= TOLERANCE:
            raise UserError(
                f'{file.path} and the model with its weights compute different outputs at {name}: by {error:.2g} of '
                f'the largest value, {TOLERANCE:g} is allowed; an operator between the weights is another one'
            )


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())[:200]
