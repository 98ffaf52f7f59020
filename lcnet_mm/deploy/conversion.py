"""From ONNX to OpenVINO's files, with the options of mmdeploy's ``mo_options``.

mmdeploy 1.3.1 calls the ``mo`` program, which left OpenVINO in 2024. What its options did to a model is done here by
today's converter and by OpenVINO's own preprocessing.
"""

from __future__ import annotations

import ast
import os
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import openvino
from openvino.preprocess import PrePostProcessor

# What these switched belonged to the old converter; the model is the same without them.
_WITHOUT_EFFECT = (
    *('--disable_fusing', '--disable_gfusing', '--disable_resnet_optimization', '--disable_weights_compression'),
    *('--disable_telemetry', '--finegrain_fusing', '--progress', '--silent', '--stream_output', '--static_shape'),
)
_HALF = {'FP16': True, 'half': True, 'FP32': False, 'float': False}


@dataclass(frozen=True)
class ConversionOptions:
    """What the conversion does beside converting.

    Attributes:
        compress_to_fp16: Whether the weights are stored in half precision.
        mean: Subtracted from each channel of the input; empty for nothing.
        scale: Each channel of the input is divided by it after that; empty for nothing.
        reverse_channels: Whether the channels of the input are reversed before.
    """

    compress_to_fp16: bool = False
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    reverse_channels: bool = False


def parse_mo_options(arguments: str) -> ConversionOptions:
    """Parse the arguments of the ``mo`` program, as mmdeploy's ``ModelOptimizerOptions.get_options`` joins them.

    Raises:
        ValueError: an option has no counterpart in today's OpenVINO, or its value is wrong.
    """
    found: dict[str, Any] = {}
    for word in shlex.split(arguments):
        name, _, text = word.partition('=')
        if name in ('--mean_values', '--scale_values'):
            found[name.removeprefix('--').removesuffix('_values')] = _parse_numbers(name, text)
        elif name in ('--scale', '-s'):
            found['scale'] = _parse_numbers(name, text)
        elif name == '--reverse_input_channels':
            found['reverse_channels'] = True
        elif name == '--compress_to_fp16':
            found['compress_to_fp16'] = text.lower() not in ('false', '0')
        elif name == '--data_type' and text in _HALF:
            found['compress_to_fp16'] = _HALF[text]
        elif name not in _WITHOUT_EFFECT:
            raise ValueError(
                f'mo_options has {word}, which OpenVINO {openvino.__version__.split("-")[0]} cannot do; leave it out'
            )
    return ConversionOptions(**found)


def _parse_numbers(name: str, text: str) -> tuple[float, ...]:
    """Parse ``1.0``, ``[1, 2, 3]`` or ``(1,2,3)``."""
    try:
        values = ast.literal_eval(text)
        return tuple(float(value) for value in (values if isinstance(values, list | tuple) else [values]))
    except (ValueError, SyntaxError, TypeError) as error:
        raise ValueError(f'mo_options has {name}={text}; it must be numbers, such as [0, 0, 0]') from error


def convert_onnx(
    model: str | Path | onnx.ModelProto,
    target: str | Path,
    options: ConversionOptions | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Path:
    """Convert an ONNX model into OpenVINO's ``.xml`` and ``.bin``; both appear only when they are complete.

    Args:
        model: The model, or its file.
        target: The ``.xml`` file.
        options: What else is done; the weights stay as they are by default.
        shapes: Shapes of inputs by name; those of the model by default.

    Returns:
        ``target``.

    Raises:
        ValueError: the model has no input of a name.
    """
    options = options or ConversionOptions()
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f'{target.stem}.partial.xml')
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(model, onnx.ModelProto):
            file = Path(folder, 'model.onnx')
            onnx.save(model, file)
            model = file
        converted = openvino.convert_model(str(model))
        names = {name for entry in converted.inputs for name in entry.names}
        if unknown := set(shapes or ()) - names:
            raise ValueError(f'the model has the inputs {", ".join(sorted(names))}, not {", ".join(sorted(unknown))}')
        if shapes:
            converted.reshape({name: list(shape) for name, shape in shapes.items()})
        openvino.save_model(_preprocess(converted, options), partial, compress_to_fp16=options.compress_to_fp16)
    os.replace(partial.with_suffix('.bin'), target.with_suffix('.bin'))
    os.replace(partial, target)
    return target


def _preprocess(model: openvino.Model, options: ConversionOptions) -> openvino.Model:
    """Add reversal of channels, mean and scale to each input ``(N, C, H, W)``, in this order."""
    if not (options.mean or options.scale or options.reverse_channels):
        return model
    processor = PrePostProcessor(model)
    for index in range(len(model.inputs)):
        entry = processor.input(index)
        entry.tensor().set_layout(openvino.Layout('NCHW'))
        entry.model().set_layout(openvino.Layout('NCHW'))
        if options.reverse_channels:
            entry.preprocess().reverse_channels()
        if options.mean:
            entry.preprocess().mean(list(options.mean))
        if options.scale:
            entry.preprocess().scale(list(options.scale))
    return processor.build()


def from_onnx(
    onnx_model: str | onnx.ModelProto,
    output_file_prefix: str,
    input_info: Mapping[str, Sequence[int]],
    output_names: Sequence[str],
    mo_options: Any = None,
) -> None:
    """Convert as ``mmdeploy.apis.openvino.from_onnx`` does, with the same arguments.

    Args:
        onnx_model: The model, or its file.
        output_file_prefix: The folder of the ``.xml`` and ``.bin``, which have the name of the file.
        input_info: The shape of each input.
        output_names: The outputs, all that the model has.
        mo_options: mmdeploy's ``ModelOptimizerOptions``.

    Raises:
        ValueError: the model has no input or output of a name, or an option cannot be followed.
    """
    if isinstance(onnx_model, onnx.ModelProto):
        proto, name = onnx_model, 'end2end'
    else:
        proto, name = onnx.load(onnx_model, load_external_data=False), Path(onnx_model).stem
    given = [output.name for output in proto.graph.output]
    if unknown := set(output_names) - set(given):
        raise ValueError(f'the model has the outputs {", ".join(given)}, not {", ".join(sorted(unknown))}')
    options = parse_mo_options(mo_options.get_options()) if mo_options is not None else None
    convert_onnx(onnx_model, Path(output_file_prefix, f'{name}.xml'), options, input_info)
