"""Timing in turn: every round times every network once, so that what slows the machine slows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import openvino
import torch

from ..utils.errors import UserError
from ..utils.openvino import COMPILE_OPTIONS, openvino_core
from ..utils.timing import MIN_WARMUP, Latency, time_in_turn
from .networks import Network, read_openvino

BACKENDS = ('openvino', 'onnxruntime', 'torch')
PRECISIONS = ('f32', 'bf16', 'f16')
# The control compares the first network with itself.
CONTROL = 'the first again'
MAX_CONTROL_DIFFERENCE = 0.05


def compile_network(network: Network, backend: str, threads: int, precision: str = 'f32') -> Callable[[], Any]:
    """Make a network ready: a function that runs it once, synchronously, on one fixed random input.

    Args:
        network: What to run.
        backend: One of :data:`BACKENDS`. PyTorch's threads are those of the process and are set here.
        threads: Threads of one inference.
        precision: OpenVINO's arithmetic; the others know f32 alone.

    Raises:
        UserError: the backend cannot run it.
    """
    if precision != 'f32' and backend != 'openvino':
        raise UserError(f'precision {precision} needs the backend openvino, got {backend}')
    image: np.ndarray = np.random.default_rng(0).normal(size=network.input_shape).astype(np.float32)
    if backend == 'openvino':
        options = {**COMPILE_OPTIONS, 'INFERENCE_NUM_THREADS': threads, 'INFERENCE_PRECISION_HINT': precision}
        try:
            compiled = openvino_core().compile_model(read_openvino(network), 'CPU', options)
        except RuntimeError as error:
            raise UserError(f'OpenVINO cannot compile {network.name}: {str(error).splitlines()[0]}') from error
        request = compiled.create_infer_request()
        if compiled.inputs[0].element_type == openvino.Type.u8:
            image = np.random.default_rng(0).integers(0, 256, network.input_shape, dtype=np.uint8)
        return lambda: request.infer([image], share_inputs=True)
    if backend == 'onnxruntime':
        if network.file.suffix != '.onnx':
            raise UserError(f'ONNX Runtime needs an .onnx file, {network.name} is {network.file.name}')
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(str(network.file), settings, providers=['CPUExecutionProvider'])
        name = session.get_inputs()[0].name
        return lambda: session.run(None, {name: image})
    if network.module is None:
        raise UserError(f'PyTorch needs a config, {network.name} is a file')
    module = network.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    tensor = torch.from_numpy(image).to(memory_format=torch.channels_last)
    torch.set_num_threads(threads)

    @torch.inference_mode()
    def run() -> Any:
        return module(tensor)

    return run


def time_networks(
    networks: Sequence[Network],
    *,
    backend: str = 'openvino',
    threads: int = 1,
    precision: str = 'f32',
    rounds: int = 50,
    warmup: int = MIN_WARMUP,
    progress: Callable[[], Any] = lambda: None,
) -> dict[str, Latency]:
    """Time networks in turn at batch 1; the last entry of the result is the A-A control.

    Args:
        networks: With different names.
        backend: One of :data:`BACKENDS`.
        threads: Threads of one inference.
        precision: OpenVINO's arithmetic.
        rounds: Calls of each network that count.
        warmup: Calls of each network before, which do not count.
        progress: Called after every round.
    """
    calls = {network.name: compile_network(network, backend, threads, precision) for network in networks}
    calls[CONTROL] = compile_network(networks[0], backend, threads, precision)
    return time_in_turn(calls, rounds, warmup, progress)


def control_difference(results: Mapping[str, Latency]) -> float:
    """How far the control is from the first network, as a fraction: the doubt of all ratios of the run."""
    first = next(iter(results.values())).median
    return abs(results[CONTROL].median / first - 1)
