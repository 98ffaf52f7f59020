"""Timing in turn: every round times every network once, so that what slows the machine slows them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import numpy as np
import openvino
import torch

from ..deploy.backend import COMPILE_OPTIONS
from ..errors import UserError
from ..openvino_core import openvino_core
from .networks import Network, read_openvino

BACKENDS = ('openvino', 'onnxruntime', 'torch')
PRECISIONS = ('f32', 'bf16', 'f16')
# The control compares the first network with itself.
CONTROL = 'the first again'
MAX_CONTROL_DIFFERENCE = 0.05
MIN_WARMUP = 10


@dataclass
class Latency:
    """Seconds of every call of one network."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median seconds."""
        return median(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Milliseconds as JSON types."""
        p90 = quantiles(self.seconds, n=10)[-1] if len(self.seconds) > 1 else self.seconds[0]
        return dict(median=1e3 * self.median, p90=1e3 * p90, minimum=1e3 * min(self.seconds), calls=len(self.seconds))


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


def time_in_turn(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    warmup: int = MIN_WARMUP,
    progress: Callable[[], Any] = lambda: None,
) -> dict[str, Latency]:
    """Call functions in turn, each one twice in a row, of which the second call counts.

    The first one fills the caches, which hold what ran before: without it a small network behind a large one took 15 %
    longer than behind itself.

    Args:
        calls: By name.
        rounds: Calls of each that count.
        warmup: Calls of each before, which do not.
        progress: Called after every round.
    """
    results = {name: Latency() for name in calls}
    for index in range(warmup + rounds):
        for name, call in calls.items():
            call()
            start = time.perf_counter()
            call()
            if index >= warmup:
                results[name].seconds.append(time.perf_counter() - start)
        progress()
    return results


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
        backend, threads, precision: As for :func:`compile_network`.
        rounds, warmup, progress: As for :func:`time_in_turn`.
    """
    calls = {network.name: compile_network(network, backend, threads, precision) for network in networks}
    calls[CONTROL] = compile_network(networks[0], backend, threads, precision)
    return time_in_turn(calls, rounds, warmup, progress)


def control_difference(results: Mapping[str, Latency]) -> float:
    """How far the control is from the first network, as a fraction: the doubt of all ratios of the run."""
    first = next(iter(results.values())).median
    return abs(results[CONTROL].median / first - 1)
