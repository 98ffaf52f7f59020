"""INT8 beside an export, kept only where the accuracy allows it."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmdeploy.utils import get_backend
from mmengine.config import Config

from ..data.checks import check_data
from ..latency.networks import Network
from ..latency.timing import compile_network
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.files import write_json
from ..utils.images import find_images
from ..utils.machine import describe_machine, format_machine
from ..utils.openvino import openvino_core
from ..utils.timing import time_in_turn
from . import parity
from .backend import convert_onnx
from .calibration import calibration_arrays, find_calibration
from .description import INT8_MODEL, INT8_REPORT
from .evaluation import evaluate
from .export import build_processor, compare_outputs, open_file, quiet
from .quantize import STEPS, quantize, save

# Largest drop of each metric that is accepted by default, in points of a hundred, and the metric's points per unit.
MAX_DROP = {'coco/bbox_mAP': 0.5, 'pascal_voc/mAP': 0.5, 'mIoU': 1.0, 'accuracy/top1': 1.0}
POINTS = {'coco/bbox_mAP': 100.0, 'pascal_voc/mAP': 100.0, 'mIoU': 1.0, 'accuracy/top1': 1.0}
ROUNDS = 100


@dataclass
class Variant:
    """One precision of an exported model.

    Attributes:
        name: 'FP32', 'FP16' (weights in half precision, arithmetic in float32) or 'INT8'.
        layers: Of INT8, which layers.
        bytes: Size of the weights' file.
        accuracy: The main metric in points of a hundred.
        drop: What FP32 has more, in points.
        milliseconds: Median latency of the network on one thread; None where it was not measured.
        parity: How far the outputs for the picture are from those of FP32.
    """

    name: str
    layers: str
    bytes: int
    accuracy: float
    drop: float
    milliseconds: float | None = None
    parity: str = ''


@dataclass
class Quantization:
    """What :func:`quantize_export` did.

    Attributes:
        metric: Name of the main metric.
        max_drop: The largest drop allowed, in points.
        kept: Whether INT8 is within it, and there.
        pictures: Number of pictures of the calibration.
        input_shape: Of the latencies, ``(1, C, H, W)``.
        variants: FP32, FP16 and the INT8 that is kept, or else loses least.
        rejected: INT8 with other layers.
        machine: Where the latencies were measured.
    """

    metric: str
    max_drop: float
    kept: bool
    pictures: int
    input_shape: tuple[int, ...]
    variants: list[Variant]
    rejected: list[Variant] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=describe_machine)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    def format_table(self) -> str:
        """The report as text."""
        first = self.variants[0].milliseconds or math.nan
        lines = [f'{"":<6}{self.metric:>14}{"drop":>7}{"ms":>8}{"speed-up":>10}{"MB":>8}  on the picture, against FP32']
        for variant in self.variants:
            ms = variant.milliseconds or math.nan
            lines.append(
                f'{variant.name:<6}{variant.accuracy:>14.2f}{variant.drop:>7.2f}{ms:>8.2f}{first / ms:>9.2f}x'
                f'{variant.bytes / 1e6:>8.2f}  {variant.parity}'
            )
        lines += [f'INT8 of {v.layers} was rejected: it loses {v.drop:.2f} points' for v in self.rejected]
        shape = 'x'.join(map(str, self.input_shape))
        lines.append(
            f'INT8: {self.variants[-1].layers}, calibrated on {self.pictures} pictures; at most {self.max_drop:g} '
            f'points may be lost'
        )
        lines.append(f'latency: {shape}, one thread, medians in turn; {format_machine(self.machine)}')
        return '\n'.join(lines)

    def format_refusal(self) -> str:
        """Why INT8 is not kept, in one line."""
        least = self.variants[-1]
        return (
            f'INT8 loses {least.drop:.2f} points of {self.metric} at best ({least.layers}), {self.max_drop:g} are '
            f'allowed: FP32 is kept; see {INT8_REPORT}. More pictures for --calib, a larger --max-drop, or fine-tuning'
        )


def check_int8(deploy_cfg: Config, cfg: Config, calib: str | Path, max_drop: float | None = None) -> list[Path]:
    """Check all that INT8 needs, before the long work.

    Args:
        deploy_cfg: The deploy config.
        cfg: The model's config.
        calib: Pictures for the calibration; see :func:`~lcnet_mm.deploy.calibration.find_calibration`.
        max_drop: The largest drop allowed.

    Returns:
        The pictures of the calibration.

    Raises:
        UserError: something is missing or wrong.
    """
    backend = get_backend(deploy_cfg).value
    if backend != 'openvino':
        raise UserError(f'--int8 needs a deploy config for openvino, this one is for {backend}')
    if max_drop is not None and not 0 <= max_drop < math.inf:
        raise UserError(f'--max-drop {max_drop} must be at least 0')
    for key in ('test_dataloader', 'test_evaluator'):
        if not cfg.get(key):
            raise UserError(f"--int8 measures the accuracy on the config's test data, and the config has no {key}")
    check_data(cfg, ('test',))
    return find_calibration(calib, cfg)


def quantize_export(
    deploy_cfg: Config,
    cfg: Config,
    checkpoint: str | Path,
    image: str | Path,
    work_dir: str | Path,
    pictures: Sequence[Path],
    max_drop: float | None = None,
) -> Quantization:
    """Add INT8 to what :func:`~lcnet_mm.deploy.export.deploy` wrote.

    Writes ``quantization.json``; where the drop is within the limit also ``end2end_int8.xml`` and ``.bin``, which then
    stand in ``model.json``. The other files stay as they are, and where it fails so do all.

    Args:
        deploy_cfg, cfg, checkpoint, image, work_dir: As for ``deploy``.
        pictures: For the calibration, as :func:`check_int8` returns them.
        max_drop: The largest drop of the main metric, in points of a hundred; that of :data:`MAX_DROP` by default.

    Raises:
        UserError: the evaluation gives no metric that is known, or NNCF fails.
    """
    work_dir = Path(work_dir)
    (image,) = find_images([image])
    processor = build_processor(deploy_cfg, cfg)
    with as_user_error('the model cannot be built', *BUILD_ERRORS):
        model = processor.build_pytorch_model(None).eval()
    onnx_file = work_dir / deploy_cfg.onnx_config.save_file
    with tempfile.TemporaryDirectory(dir=work_dir, prefix='.partial-') as folder, quiet():
        files = {
            'FP32': convert_onnx(onnx_file, Path(folder, 'fp32.xml'), False),
            'FP16': convert_onnx(onnx_file, Path(folder, 'fp16.xml'), True),
        }
        meter = AccuracyMeter(processor, checkpoint, files['FP32'])
        if max_drop is None:
            max_drop = MAX_DROP[meter.metric]
        variants = [meter.first, meter.measure('FP16', files['FP16'])]
        arrays = calibration_arrays(processor, model.data_preprocessor, list(pictures))
        tried = try_steps(files['FP32'], arrays, meter, max_drop)
        int8, files['INT8'] = min(tried, key=lambda entry: entry[0].drop)
        variants.append(int8)
        add_latencies(variants, files, arrays[0].shape)
        add_parity(variants, files, processor, model, image)
        result = Quantization(
            metric=meter.metric,
            max_drop=max_drop,
            kept=within(int8, max_drop),
            pictures=len(arrays),
            input_shape=arrays[0].shape,
            variants=variants,
            rejected=[variant for variant, _ in tried if variant is not int8],
        )
        if result.kept:
            keep(files['INT8'], work_dir)
        write_json(work_dir / INT8_REPORT, result.to_dict())
    return result


class AccuracyMeter:
    """Measures the accuracy of files against that of the first.

    Args:
        processor: mmdeploy's task processor.
        checkpoint: The checkpoint.
        float32: The first file.

    Attributes:
        metric: Name of the main metric.
        first: The measured first file.

    Raises:
        UserError: the evaluation has no metric of :data:`MAX_DROP`.
    """

    def __init__(self, processor: Any, checkpoint: str | Path, float32: Path) -> None:
        self.processor, self.checkpoint = processor, checkpoint
        metrics = self.evaluate(float32)
        known = [name for name in MAX_DROP if name in metrics]
        if not known:
            raise UserError(
                f'the evaluation gives {", ".join(metrics) or "nothing"}; INT8 needs one of {", ".join(MAX_DROP)}'
            )
        self.metric = known[0]
        self.first = Variant('FP32', '', weight_bytes(float32), metrics[self.metric] * POINTS[self.metric], 0.0)

    def evaluate(self, file: Path) -> dict[str, float]:
        """All metrics of a file."""
        return evaluate(self.processor, self.processor.model_cfg, self.checkpoint, file)

    def measure(self, name: str, file: Path, layers: str = '') -> Variant:
        """Measure another file."""
        # CocoMetric returns nothing where nothing was detected.
        accuracy = self.evaluate(file).get(self.metric, 0.0) * POINTS[self.metric]
        return Variant(name, layers, weight_bytes(file), accuracy, self.first.accuracy - accuracy)


def weight_bytes(file: Path) -> int:
    """Size of the weights of an ``.xml``."""
    return file.with_suffix('.bin').stat().st_size


def try_steps(
    float32: Path, arrays: Sequence[np.ndarray], meter: AccuracyMeter, max_drop: float
) -> list[tuple[Variant, Path]]:
    """Quantise with one step after the other until the limit is held.

    Returns:
        All that were tried, with their files beside ``float32``; the last one holds the limit, or none does.

    Raises:
        UserError: NNCF fails, or there is nothing to quantise.
    """
    source = openvino_core().read_model(float32)
    tried: list[tuple[Variant, Path]] = []
    for index, step in enumerate(STEPS):
        with as_user_error('NNCF cannot quantise the model', RuntimeError):
            quantized = quantize(source.clone(), step, arrays)
        if quantized is None:
            continue
        file = save(quantized, float32.with_name(f'int8-{index}.xml'))
        tried.append((meter.measure('INT8', file, step.name), file))
        if within(tried[-1][0], max_drop):
            break
    if not tried:
        raise UserError('the model has no convolution that could be quantised')
    return tried


def within(variant: Variant, max_drop: float) -> bool:
    """Whether the drop is allowed, up to the rounding of sums."""
    return variant.drop <= max_drop + 1e-6


def add_latencies(variants: Sequence[Variant], files: dict[str, Path], shape: tuple[int, ...]) -> None:
    """Time the variants in turn on one thread."""
    calls = {name: compile_network(Network(name, file, shape), 'openvino', 1) for name, file in files.items()}
    times = time_in_turn(calls, ROUNDS)
    for variant in variants:
        variant.milliseconds = 1e3 * times[variant.name].median


def add_parity(variants: Sequence[Variant], files: dict[str, Path], processor: Any, model: Any, image: Path) -> None:
    """Compare the outputs for the picture with those of the first variant."""
    deploy_cfg = processor.deploy_cfg
    shape = deploy_cfg.onnx_config.get('input_shape')
    _, tensor = processor.create_input(str(image), shape, data_preprocessor=model.data_preprocessor)
    outputs = {name: open_file(file, deploy_cfg)(tensor) for name, file in files.items()}
    for variant in variants[1:]:
        factor = parity.FP16_FACTOR if variant.name == 'FP16' else parity.INT8_FACTOR
        found = compare_outputs(model, deploy_cfg, outputs['FP32'], outputs[variant.name], tuple(tensor.shape), factor)
        variant.parity = '; '.join(f'{output}: {worst:.3g} {detail}' for output, (_, worst, _, detail) in found)


def keep(file: Path, work_dir: Path) -> None:
    """Put an INT8 model into an export: its files first, then their mention in ``model.json``."""
    target = work_dir / INT8_MODEL
    for suffix in ('.bin', '.xml'):
        os.replace(file.with_suffix(suffix), target.with_suffix(suffix))
    description = json.loads((work_dir / 'model.json').read_text())
    description['int8'] = target.name
    for path in (target, target.with_suffix('.bin')):
        description['files'][path.name] = path.stat().st_size
    write_json(work_dir / 'model.json', description)
