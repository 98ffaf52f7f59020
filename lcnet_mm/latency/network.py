"""Latency of detectors' networks on OpenVINO: from the normalised input to scores and boxes, before NMS."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import openvino
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..deploy.backend import COMPILE_OPTIONS
from ..deploy.export import quiet

# The control compares the first model with itself.
CONTROL = 'the first model again'
MAX_CONTROL_DIFFERENCE = 0.05


@dataclass
class Latency:
    """Seconds of every call of one model."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median seconds."""
        return median(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Milliseconds as JSON types."""
        p90 = quantiles(self.seconds, n=10)[-1]
        return dict(median=1e3 * self.median, p90=1e3 * p90, minimum=1e3 * min(self.seconds), calls=len(self.seconds))


class Network(nn.Module):
    """A PicoDet as a function from ``(1, 3, H, W)`` to scores and boxes."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.bbox_head.get_scores_and_boxes(self.model.extract_feat(image))


def convert_network(cfg: Config, folder: Path) -> tuple[openvino.Model, tuple[int, int]]:
    """Build a detector with its initial weights and convert it at the size that its config tests with.

    Args:
        cfg: The config of a PicoDet.
        folder: For the ONNX file.

    Returns:
        The model, and its height and width.
    """
    with torch.no_grad(), quiet():
        model = Network(MODELS.build(cfg.model)).eval()
        (resize,) = (step for step in cfg.test_pipeline if step.type == 'Resize')
        width, height = resize.scale
        file = folder / 'network.onnx'
        torch.onnx.export(model, (torch.zeros(1, 3, height, width),), str(file), opset_version=14, dynamo=False)
    return openvino.convert_model(str(file)), (height, width)


def measure_networks(
    networks: Mapping[str, openvino.Model], threads: int, rounds: int, warmup: int = 10
) -> dict[str, Latency]:
    """Time networks in turn at batch 1, synchronously; the last entry of the result is the A-A control.

    Args:
        networks: By name.
        threads: Threads of one inference.
        rounds: Calls of each that count.
        warmup: Calls of each before, which do not.
    """
    core, rng = openvino.Core(), np.random.default_rng(0)
    options = {**COMPILE_OPTIONS, 'INFERENCE_NUM_THREADS': threads}
    entries = dict(networks)
    entries[CONTROL] = next(iter(networks.values()))
    requests, images, results = {}, {}, {}
    for name, network in entries.items():
        requests[name] = core.compile_model(network, 'CPU', options).create_infer_request()
        images[name] = rng.normal(size=tuple(network.inputs[0].shape)).astype(np.float32)
        results[name] = Latency()
    for index in range(warmup + rounds):
        for name, request in requests.items():
            start = time.perf_counter()
            request.infer([images[name]], share_inputs=True)
            if index >= warmup:
                results[name].seconds.append(time.perf_counter() - start)
    return results


def control_difference(results: Mapping[str, Latency]) -> float:
    """How far the control is from the first model, as a fraction: the doubt of all ratios of the run."""
    first = next(iter(results.values())).median
    return abs(results[CONTROL].median / first - 1)


def cpu_name() -> str:
    """The CPU's model, as Linux tells it."""
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return 'unknown CPU'
