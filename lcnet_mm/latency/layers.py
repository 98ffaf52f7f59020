"""Where the time goes: OpenVINO's profile by layer, with the work of each, and the limit of the machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import openvino
import torch

from ..utils.openvino import COMPILE_OPTIONS, openvino_core
from .networks import Network, read_openvino

CONVOLUTIONS = ('Convolution', 'GroupConvolution')


@dataclass
class Layer:
    """A layer as OpenVINO executes it.

    Attributes:
        name: Path of the module in the model.
        kind: Type of the op.
        primitive: OpenVINO's kernel.
        seconds: Median time.
        macs: Multiply-adds.
        bytes: Of inputs, outputs and weights, each once.
    """

    name: str
    kind: str
    primitive: str
    seconds: float
    macs: int
    bytes: int

    @property
    def gflops(self) -> float:
        """Arithmetic speed in GFLOP/s; a multiply-add counts twice."""
        return 2 * self.macs / self.seconds / 1e9 if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {**asdict(self), 'gflops': self.gflops}


def count_work(model: openvino.Model) -> dict[str, tuple[int, int]]:
    """Multiply-adds and weight bytes of convolutions and matrix products, by name."""
    work = {}
    for op in model.get_ops():
        kind = op.get_type_name()
        if kind in CONVOLUTIONS:
            weight = op.input(1).get_shape()
            # (O, I, kh, kw), or (groups, O / groups, I / groups, kh, kw).
            per_output = int(np.prod(weight[2:] if kind == 'GroupConvolution' else weight[1:]))
            macs = int(np.prod(op.output(0).get_shape())) * per_output
            work[op.get_friendly_name()] = macs, int(np.prod(weight)) * op.input(1).get_element_type().size
        elif kind == 'MatMul':
            first, second = op.input(0).get_shape(), op.input(1).get_shape()
            inner = first[-2] if op.get_attributes().get('transpose_a') else first[-1]
            macs = int(np.prod(op.output(0).get_shape())) * int(inner)
            work[op.get_friendly_name()] = macs, int(np.prod(second)) * op.input(1).get_element_type().size
    return work


def profile_layers(network: Network, threads: int, rounds: int = 20, precision: str = 'f32') -> list[Layer]:
    """Profile a network on OpenVINO.

    Args:
        network: What to run.
        threads: Threads of one inference.
        rounds: Runs whose median counts; ten more warm up.
        precision: OpenVINO's arithmetic.

    Returns:
        The layers that take time or have multiply-adds, in the order of execution.
    """
    model = read_openvino(network)
    work = count_work(model)
    options = {
        **COMPILE_OPTIONS, 'INFERENCE_NUM_THREADS': threads, 'INFERENCE_PRECISION_HINT': precision, 'PERF_COUNT': True
    }  # fmt: skip
    compiled = openvino_core().compile_model(model, 'CPU', options)
    request = compiled.create_infer_request()
    dtype = np.uint8 if compiled.inputs[0].element_type == openvino.Type.u8 else np.float32
    image = np.random.default_rng(0).normal(size=network.input_shape).astype(dtype)
    times: dict[str, list[float]] = {}
    for index in range(rounds + 10):
        request.infer([image], share_inputs=True)
        for entry in request.profiling_info if index >= 10 else ():
            times.setdefault(entry.node_name, []).append(entry.real_time.total_seconds())
    layers = []
    for op in compiled.get_runtime_model().get_ordered_ops():
        seconds = median(times.get(op.get_friendly_name(), [0.0]))
        info = {key: str(value.value) for key, value in op.get_rt_info().items()}
        originals = [name for name in info.get('originalLayersNames', '').split(',') if name in work]
        macs = sum(work[name][0] for name in originals)
        name, kind = clean_name(op.get_friendly_name()), info.get('layerType', '')
        if kind == 'FullyConnected' and not originals:
            # Where the bias was fused, OpenVINO forgets the original's name.
            macs = int(np.prod(op.output(0).get_shape())) * int(op.input(0).get_shape()[-1])
        # The clock counts microseconds, which a small convolution may take less than.
        if not seconds and not macs:
            continue
        # Of a convolution the weights are counted from the model: the executed one holds them packed.
        moved = sum(work[name][1] for name in originals)
        for port in [*op.inputs()[: 1 if originals else None], *op.outputs()]:
            shape = port.get_partial_shape()
            moved += int(np.prod(shape.to_shape())) * port.get_element_type().size if shape.is_static else 0
        layers.append(Layer(name, kind, info.get('primitiveType', ''), seconds, macs, moved))
    return layers


def clean_name(name: str) -> str:
    """Return a layer's name without the wrapper's and OpenVINO's additions."""
    name = re.sub(r'/WithoutBiases$', '', name)
    return name.removeprefix('/model').removeprefix('/')


# The first pattern that a layer's name fits decides its stage.
SEGMENTOR_STAGES = {
    'backbone': r'(^|_)/?(model/)?backbone/',
    'ASPP': r'decode_head/(image_pool|aspp_|bottleneck|Resize$|Concat(_1)?$|GlobalAveragePool)',
    'decoder': r'decode_head/',
}
FINAL_STAGE = 'resize + argmax'


def stage_shares(layers: Sequence[Layer], stages: Mapping[str, str] = SEGMENTOR_STAGES) -> dict[str, float]:
    """Share of the time of each stage; layers that fit none belong to the last, the resize and the argmax."""
    shares = dict.fromkeys([*stages, FINAL_STAGE], 0.0)
    total = sum(layer.seconds for layer in layers)
    for layer in layers:
        name = next((stage for stage, pattern in stages.items() if re.search(pattern, layer.name)), FINAL_STAGE)
        shares[name] += layer.seconds / total
    return shares


@dataclass
class Roofline:
    """The limits of the machine on a number of threads.

    Attributes:
        gflops: Peak of a float32 matrix product, GFLOP/s.
        bandwidth: GB/s of a copy by the bytes that it moves: small ones stay in the caches.
    """

    gflops: float
    bandwidth: dict[int, float]

    def gigabytes(self, size: int) -> float:
        """Bandwidth for a layer that moves ``size`` bytes, interpolated over the logarithm of the size."""
        sizes = sorted(self.bandwidth)
        return float(np.interp(np.log(max(size, 1)), np.log(sizes), [self.bandwidth[key] for key in sizes]))

    def seconds(self, layer: Layer) -> float:
        """Least time of a layer: that of its arithmetic or of its memory traffic, whichever is longer."""
        return max(2e-9 * layer.macs / self.gflops, 1e-9 * layer.bytes / self.gigabytes(layer.bytes))

    def share(self, layers: Sequence[Layer]) -> float:
        """Return the attainable part of a network's time: 1 is as fast as the machine can."""
        return sum(map(self.seconds, layers)) / sum(layer.seconds for layer in layers)


def measure_roofline(threads: int, rounds: int = 15) -> Roofline:
    """Measure the peak of sgemm and the memory bandwidth on ``threads`` threads of PyTorch."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        peak = 0.0
        for size in (512, 1024, 1536):
            first, second, out = (torch.rand(size, size) for _ in range(3))
            peak = max(peak, 2e-9 * size**3 / best_time(partial(torch.mm, first, second, out=out), rounds))
        bandwidth = {}
        # From the first cache to far beyond the last.
        for size in (2**18, 2**20, 2**22, 2**24, 2**28):
            source, target = torch.rand(size // 8), torch.empty(size // 8)
            bandwidth[size] = 1e-9 * size / best_time(partial(target.copy_, source), rounds)
    finally:
        torch.set_num_threads(before)
    return Roofline(peak, bandwidth)


def best_time(call: Callable[[], Any], rounds: int) -> float:
    """Least seconds of several calls."""
    from ..utils.timing import time_in_turn

    return min(time_in_turn({'': call}, rounds, warmup=2)[''].seconds)
