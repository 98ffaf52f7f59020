"""The OpenVINO Core that the whole process shares, and models that are compiled to be timed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import openvino

from .errors import UserError

# By default the CPU plugin computes in bfloat16 or float16 on CPUs that have it, which breaks parity.
COMPILE_OPTIONS = dict(INFERENCE_PRECISION_HINT='f32', PERFORMANCE_HINT='LATENCY')


def openvino_core() -> openvino.Core:
    """Return the process's only Core, which is never destroyed.

    The CPU plugin of every Core sets the stack for signals (openvino#11894). If two Cores are not destroyed in reverse
    order, the stack that is freed first stays set, and the next signal that Python handles crashes the process. The end
    of a subprocess is such a signal once a data loader of torch has had workers.

    A process that was forked gets a Core of its own: the threads of its parent's are not there, and what waits for them
    waits for ever.
    """
    return _core_of(os.getpid())


@cache
def _core_of(process: int) -> openvino.Core:
    return openvino.Core()


def compile_for_timing(
    model: openvino.Model, threads: int, precision: str = 'f32', **options: Any
) -> openvino.CompiledModel:
    """Compile a model for the CPU so that one inference takes as little time as possible.

    Args:
        model: The model, of static shape.
        threads: Threads of one inference.
        precision: Arithmetic: 'f32', 'bf16' or 'f16'.
        options: Further properties of OpenVINO, such as ``PERF_COUNT=True``.

    Raises:
        UserError: this CPU has no arithmetic of the precision, and OpenVINO would use another one without a word.
        RuntimeError: OpenVINO cannot compile the model.
    """
    options = {
        **COMPILE_OPTIONS, 'INFERENCE_NUM_THREADS': threads, 'INFERENCE_PRECISION_HINT': precision, **options
    }  # fmt: skip
    compiled = openvino_core().compile_model(model, 'CPU', options)
    used = compiled.get_property('INFERENCE_PRECISION_HINT').to_string()
    if used != precision:
        raise UserError(f'this CPU cannot compute in {precision}, OpenVINO would use {used}; choose precision {used}')
    return compiled


def random_input(compiled: openvino.CompiledModel) -> np.ndarray:
    """Return an input for a compiled model of static shape, always the same: uint8 where it takes that, or float32."""
    entry, rng = compiled.inputs[0], np.random.default_rng(0)
    shape = tuple(entry.shape)
    if entry.element_type == openvino.Type.u8:
        return rng.integers(0, 256, shape, np.uint8)
    return rng.normal(size=shape).astype(np.float32)


def timed_call(compiled: openvino.CompiledModel) -> Callable[[], Any]:
    """Return a function that runs a compiled model once, synchronously, on :func:`random_input`."""
    request, image = compiled.create_infer_request(), random_input(compiled)
    return lambda: request.infer([image], share_inputs=True)
