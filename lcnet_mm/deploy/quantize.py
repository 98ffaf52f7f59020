"""INT8 after training, with NNCF: which layers, and how."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino

CONVOLUTIONS = (
    'Convolution',
    'GroupConvolution',
    'ConvolutionBackpropData',
    'GroupConvolutionBackpropData',
)
SQUEEZE_EXCITATION = r'/se/'


@dataclass(frozen=True)
class Step:
    """Which layers are quantized; see :data:`STEPS`.

    Attributes:
        name: For the report.
        squeeze_excitation: Whether the convolutions of the gates are.
        depthwise: Whether depthwise convolutions are.
        ends: Whether the first and the last layers are.
        only: Pattern of the names that are; all by default.
    """

    name: str
    squeeze_excitation: bool = True
    depthwise: bool = True
    ends: bool = True
    only: str = ''


# Tried in turn until the accuracy is held, in the order of what each costs: none of the first three costs time
# (docs/deploy.md). Gates have few values and a narrow range; the channels of depthwise kernels differ most in range
# (Krishnamoorthi, https://arxiv.org/abs/1806.08342).
STEPS = (
    Step('all layers'),
    Step('all but SE', squeeze_excitation=False),
    Step('all but SE and depthwise', squeeze_excitation=False, depthwise=False),
    Step('all but SE, depthwise, first and last', squeeze_excitation=False, depthwise=False, ends=False),
    Step('dense ones inside the backbone', squeeze_excitation=False, depthwise=False, ends=False, only='/backbone/'),
)


def is_layer(op: openvino.Node) -> bool:
    """Return whether an op is a convolution or a fully connected layer.

    A product with a constant vector is neither: the heads use one to turn distributions into distances.
    """
    if op.get_type_name() == 'MatMul':
        weight = op.input_value(1).get_node()
        return bool(weight.get_type_name() == 'Constant' and sum(side > 1 for side in weight.get_output_shape(0)) > 1)
    return op.get_type_name() in CONVOLUTIONS


def float_layers(model: openvino.Model, step: Step) -> list[str]:
    """Return the names of the ops that stay in float32.

    After the last layers comes arithmetic of coordinates, selection, softmax and argmax, which NNCF would quantize
    where it can; it stays in float32 in every step.
    """
    ops = model.get_ordered_ops()
    # Whether a layer stands before or after each op.
    before: dict[str, bool] = {}
    after: dict[str, bool] = {op.get_friendly_name(): False for op in ops}
    for op in ops:
        sources = [value.get_node() for value in op.input_values()]
        before[op.get_friendly_name()] = any(is_layer(s) or before[s.get_friendly_name()] for s in sources)
    for op in reversed(ops):
        for source in (value.get_node() for value in op.input_values()):
            after[source.get_friendly_name()] |= is_layer(op) or after[op.get_friendly_name()]
    names = []
    for op in ops:
        name = op.get_friendly_name()
        if op.get_type_name() in ('Constant', 'Parameter', 'Result'):
            continue
        is_end = is_layer(op) and not (before[name] and after[name])
        if (
            not (is_layer(op) or after[name])
            or (not step.squeeze_excitation and re.search(SQUEEZE_EXCITATION, name))
            or (not step.depthwise and op.get_type_name().startswith('Group'))
            or (not step.ends and is_end)
            or not re.search(step.only, name)
        ):
            names.append(name)
    return names


def quantize(model: openvino.Model, step: Step, arrays: Sequence[np.ndarray]) -> openvino.Model | None:
    """Quantize weights and activations with NNCF.

    Args:
        model: The float32 model.
        step: Which layers.
        arrays: Calibration inputs, ``(1, C, H, W)`` each.

    Returns:
        The quantized model, or None where the step leaves no layer to quantize.
    """
    names = float_layers(model, step)
    if not {op.get_friendly_name() for op in model.get_ops() if is_layer(op)} - set(names):
        return None
    nncf.set_log_level(logging.ERROR)
    options: dict[str, Any] = dict(
        # Activations after h-swish are not symmetric.
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(arrays),
        fast_bias_correction=False,
        ignored_scope=nncf.IgnoredScope(names=names),
    )
    # NNCF makes Cores of its own; what they do to the stack for signals ends with the thread. See openvino_core.
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(lambda: nncf.quantize(model, nncf.Dataset(list(arrays)), **options)).result()


def save(model: openvino.Model, target: Path) -> Path:
    """Write a quantized model as ``.xml`` and ``.bin``, its weights as int8."""
    openvino.save_model(model, target, compress_to_fp16=False)
    return target
