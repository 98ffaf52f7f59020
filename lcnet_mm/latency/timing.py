"""Time networks in turn on one of three backends, with the first network once more as a control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import openvino
import torch

from ..utils.errors import UserError
from ..utils.openvino import compile_for_timing, timed_call
from ..utils.timing import MIN_WARMUP, Latency, time_in_turn
from .networks import Network, read_openvino

BACKENDS = ('openvino', 'onnxruntime', 'torch')
PRECISIONS = ('f32', 'bf16', 'f16')
# Name of the control: the first network, which takes part twice.
CONTROL = 'the first again'
MAX_CONTROL_DIFFERENCE = 0.05


def check_backend(backend: str, precision: str) -> None:
    """Check the names of a backend and a precision.

    Raises:
        UserError: one is unknown, or the backend cannot compute in the precision.
    """
    for name, value, known in (('backend', backend, BACKENDS), ('precision', precision, PRECISIONS)):
        if value not in known:
            raise UserError(f'{name} {value!r} is unknown; there are {", ".join(known)}')
    if precision != 'f32' and backend != 'openvino':
        raise UserError(f'precision {precision} needs the backend openvino, got {backend}')


def compile_openvino(network: Network, threads: int, precision: str = 'f32', **options: Any) -> openvino.CompiledModel:
    """Compile a network with OpenVINO.

    Args:
        network: The network.
        threads: Threads of one inference.
        precision: One of :data:`PRECISIONS`.
        options: Further properties of OpenVINO.

    Raises:
        UserError: OpenVINO cannot compile the network, or the CPU does not compute in this precision.
    """
    try:
        return compile_for_timing(read_openvino(network), threads, precision, **options)
    except RuntimeError as error:
        raise UserError(f'OpenVINO cannot compile {network.name}: {str(error).splitlines()[0]}') from error


def compile_network(network: Network, backend: str, threads: int, precision: str = 'f32') -> Callable[[], Any]:
    """Return a function that runs a network once, synchronously, always on the same random image.

    Args:
        network: The network.
        backend: One of :data:`BACKENDS`. PyTorch's number of threads is that of the process and is set here.
        threads: Threads of one inference.
        precision: One of :data:`PRECISIONS`; only OpenVINO has more than 'f32'.

    Raises:
        UserError: the backend or the precision is unknown, or the backend cannot run the network in it.
    """
    check_backend(backend, precision)
    if backend == 'openvino':
        return timed_call(compile_openvino(network, threads, precision))
    image: np.ndarray = np.random.default_rng(0).normal(size=network.input_shape).astype(np.float32)
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
        networks: The networks; their names differ.
        backend: One of :data:`BACKENDS`.
        threads: Threads of one inference.
        precision: One of :data:`PRECISIONS`.
        rounds: Number of rounds that are recorded.
        warmup: Number of rounds before them that are not.
        progress: Called after every round.

    Raises:
        UserError: as :func:`compile_network`.
    """
    calls = {network.name: compile_network(network, backend, threads, precision) for network in networks}
    calls[CONTROL] = compile_network(networks[0], backend, threads, precision)
    return time_in_turn(calls, rounds, warmup, progress)


def control_difference(results: Mapping[str, Latency]) -> float:
    """Return the difference between the control and the first network, as a fraction.

    Differences of this size between other networks of the run mean nothing.
    """
    first = next(iter(results.values())).median
    return abs(results[CONTROL].median / first - 1)
