"""Find where the time goes: OpenVINO's profile of the layers, the work of each, and the limits of the machine."""

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

from ..utils.openvino import random_input
from ..utils.timing import time_in_turn
from .networks import Network, read_openvino
from .timing import compile_openvino

_CONVOLUTIONS = ('Convolution', 'GroupConvolution')


@dataclass
class Layer:
    """A layer as OpenVINO executes it.

    Attributes:
        name: Path of the module in the model.
        kind: Type of the operation.
        primitive: OpenVINO's kernel.
        seconds: Median time.
        macs: Multiply-adds.
        bytes: Bytes of inputs, outputs and weights, each counted once.
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
        """Return the layer as JSON types."""
        return {**asdict(self), 'gflops': self.gflops}


def _count_work(model: openvino.Model) -> dict[str, tuple[int, int]]:
    """Return the multiply-adds and the bytes of the weights of each convolution and matrix product, by name."""
    work = {}
    for op in model.get_ops():
        kind = op.get_type_name()
        if kind in _CONVOLUTIONS:
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
    """Profile a network with OpenVINO.

    Args:
        network: The network.
        threads: Threads of one inference.
        rounds: Number of inferences whose median is taken, after ten others.
        precision: One of :data:`~lcnet_mm.latency.timing.PRECISIONS`.

    Returns:
        The layers that take time or have multiply-adds, in the order of execution.

    Raises:
        UserError: OpenVINO cannot compile the network, or the CPU does not compute in this precision.
    """
    work = _count_work(read_openvino(network))
    compiled = compile_openvino(network, threads, precision, PERF_COUNT=True)
    request, image = compiled.create_infer_request(), random_input(compiled)
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
        name, kind = _clean_name(op.get_friendly_name()), info.get('layerType', '')
        if kind == 'FullyConnected' and not originals:
            # Where a bias was fused, OpenVINO does not keep the name of the original.
            macs = int(np.prod(op.output(0).get_shape())) * int(op.input(0).get_shape()[-1])
        # The clock counts whole microseconds; a small convolution may take less than one.
        if not seconds and not macs:
            continue
        # The weights of a convolution are those of the model, because the executed one has them packed.
        moved = sum(work[name][1] for name in originals)
        for port in [*op.inputs()[: 1 if originals else None], *op.outputs()]:
            shape = port.get_partial_shape()
            moved += int(np.prod(shape.to_shape())) * port.get_element_type().size if shape.is_static else 0
        layers.append(Layer(name, kind, info.get('primitiveType', ''), seconds, macs, moved))
    return layers


def _clean_name(name: str) -> str:
    """Return the name of a layer without what the wrapper and OpenVINO add to it."""
    name = re.sub(r'/WithoutBiases$', '', name)
    return name.removeprefix('/model').removeprefix('/')


# The stage of a layer is the first one whose pattern is found in its name.
_SEGMENTOR_STAGES = {
    'backbone': r'(^|_)/?(model/)?backbone/',
    'ASPP': r'decode_head/(image_pool|aspp_|bottleneck|Resize$|Concat(_1)?$|GlobalAveragePool)',
    'decoder': r'decode_head/',
}
FINAL_STAGE = 'resize + argmax'


def stage_shares(layers: Sequence[Layer], stages: Mapping[str, str] = _SEGMENTOR_STAGES) -> dict[str, float]:
    """Return the share of each stage in the time of a segmentor.

    Args:
        layers: The profile.
        stages: A pattern for the names of the layers of each stage. All others belong to :data:`FINAL_STAGE`.
    """
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
        gflops: Peak of a float32 matrix product in GFLOP/s.
        bandwidth: GB/s of a copy, by the number of bytes that it moves; small ones stay in the caches.
    """

    gflops: float
    bandwidth: dict[int, float]

    def gigabytes(self, size: int) -> float:
        """Return the GB/s for a layer that moves ``size`` bytes, interpolated over the logarithm of the size."""
        sizes = sorted(self.bandwidth)
        return float(np.interp(np.log(max(size, 1)), np.log(sizes), [self.bandwidth[key] for key in sizes]))

    def seconds(self, layer: Layer) -> float:
        """Return the least time of a layer: that of its arithmetic or of its memory traffic, whichever is longer."""
        return max(2e-9 * layer.macs / self.gflops, 1e-9 * layer.bytes / self.gigabytes(layer.bytes))

    def share(self, layers: Sequence[Layer]) -> float:
        """Return the least time of a network as a fraction of its time: 1 is as fast as the machine allows."""
        return sum(map(self.seconds, layers)) / sum(layer.seconds for layer in layers)


def measure_roofline(threads: int, rounds: int = 15) -> Roofline:
    """Measure the peak of float32 matrix products and the memory bandwidth with PyTorch.

    Args:
        threads: Number of threads.
        rounds: Number of measurements of each size, of which the fastest is taken.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        peak = 0.0
        for size in (512, 1024, 1536):
            first, second, out = (torch.rand(size, size) for _ in range(3))
            peak = max(peak, 2e-9 * size**3 / _best_time(partial(torch.mm, first, second, out=out), rounds))
        bandwidth = {}
        # From the size of the first cache to far more than the last one holds.
        for size in (2**18, 2**20, 2**22, 2**24, 2**28):
            source, target = torch.rand(size // 8), torch.empty(size // 8)
            bandwidth[size] = 1e-9 * size / _best_time(partial(target.copy_, source), rounds)
    finally:
        torch.set_num_threads(before)
    return Roofline(peak, bandwidth)


def _best_time(call: Callable[[], Any], rounds: int) -> float:
    """Return the seconds of the fastest of several calls."""
    return min(time_in_turn({'': call}, rounds, warmup=2)[''].seconds)
