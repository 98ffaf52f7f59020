"""INT8 next to an export, kept only where the accuracy allows it."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmdeploy.utils import get_backend
from mmengine.config import Config

from ..data.checks import check_data
from ..data.spec import ModelSpec
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.files import sha256, write_json
from ..utils.machine import describe_machine, format_machine
from ..utils.openvino import compile_for_timing, openvino_core, timed_call
from ..utils.timing import time_in_turn
from . import parity
from .calibration import calibration_arrays, find_calibration
from .comparison import compare_outputs, open_file
from .conversion import ConversionOptions, convert_onnx
from .description import INT8_MODEL, INT8_REPORT
from .evaluation import METRICS, evaluate
from .export import build_processor, find_image, quiet, resolve_export
from .inputs import load_input
from .model_info import make_model_info, write_model_info
from .quantize import STEPS, quantize, save

ROUNDS = 100


@dataclass
class Variant:
    """One precision of an exported model.

    Attributes:
        name: 'FP32', 'FP16' (weights in half precision, arithmetic in float32) or 'INT8'.
        layers: Of INT8, which layers.
        bytes: Size of the weights' file.
        accuracy: The main metric in points of a hundred.
        drop: By how many points FP32 is better.
        milliseconds: Median latency of the network on one thread; None where it was not measured.
        parity: How far the outputs for the image are from those of FP32.
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
        kept: Whether INT8 is within it, and has been written.
        images: Number of images of the calibration.
        input_shape: Of the latencies, ``(1, C, H, W)``.
        variants: FP32, FP16 and the INT8 that is kept, or else loses least.
        rejected: INT8 with other layers.
        machine: Where the latencies were measured.
    """

    metric: str
    max_drop: float
    kept: bool
    images: int
    input_shape: tuple[int, ...]
    variants: list[Variant]
    rejected: list[Variant] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=describe_machine)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return asdict(self)

    def format_table(self) -> str:
        """Return the report as text."""
        first = self.variants[0].milliseconds or math.nan
        lines = [f'{"":<6}{self.metric:>14}{"drop":>7}{"ms":>8}{"speed-up":>10}{"MB":>8}  on the image, against FP32']
        for variant in self.variants:
            ms = variant.milliseconds or math.nan
            lines.append(
                f'{variant.name:<6}{variant.accuracy:>14.2f}{variant.drop:>7.2f}{ms:>8.2f}{first / ms:>9.2f}x'
                f'{variant.bytes / 1e6:>8.2f}  {variant.parity}'
            )
        lines += [f'INT8 of {v.layers} was rejected: it loses {v.drop:.2f} points' for v in self.rejected]
        shape = 'x'.join(map(str, self.input_shape))
        lines.append(
            f'INT8: {self.variants[-1].layers}, calibrated on {self.images} images; at most {self.max_drop:g} '
            f'points may be lost'
        )
        lines.append(f'latency: {shape}, one thread, medians in turn; {format_machine(self.machine)}')
        return '\n'.join(lines)

    def format_refusal(self) -> str:
        """Say in one line why INT8 is not kept."""
        least = self.variants[-1]
        return (
            f'INT8 loses {least.drop:.2f} points of {self.metric} at best ({least.layers}), {self.max_drop:g} are '
            f'allowed: FP32 is kept; see {INT8_REPORT}. Calibrate on more images, allow a larger drop, or fine-tune'
        )


def check_int8(deploy_cfg: Config, cfg: Config, calib: str | Path, max_drop: float | None = None) -> list[Path]:
    """Check everything that INT8 needs, before the long work.

    Args:
        deploy_cfg: The deploy config.
        cfg: The model's config.
        calib: Images for the calibration; see :func:`~lcnet_mm.deploy.calibration.find_calibration`.
        max_drop: The largest drop allowed.

    Returns:
        The images of the calibration.

    Raises:
        UserError: something is missing or wrong.
    """
    backend = get_backend(deploy_cfg).value
    if backend != 'openvino':
        raise UserError(f'INT8 needs a deploy config for openvino, this one is for {backend}')
    if max_drop is not None and not 0 <= max_drop < math.inf:
        raise UserError(f'max_drop must be at least 0, got {max_drop}')
    for key in ('test_dataloader', 'test_evaluator'):
        if not cfg.get(key):
            raise UserError(f"INT8 needs the accuracy on the config's test data, and the config has no {key}")
    check_data(cfg, ('test',))
    return find_calibration(calib, cfg)


def quantize_export(
    deploy_cfg: Config,
    cfg: Config,
    checkpoint: str | Path,
    image: str | Path,
    work_dir: str | Path,
    images: Sequence[Path],
    max_drop: float | None = None,
) -> Quantization:
    """Add INT8 to what :func:`~lcnet_mm.deploy.export.deploy` wrote.

    Writes ``quantization.json``, and where the drop is within the limit ``end2end_int8.xml`` and ``.bin``, which then
    ``model.json`` names. The other files stay as they are, and where it fails all of them do.

    Args:
        deploy_cfg: The deploy config of the export.
        cfg: The model's config.
        checkpoint: The checkpoint that was exported.
        image: The image that the outputs are compared on.
        work_dir: The folder of the export.
        images: For the calibration, as :func:`check_int8` returns them.
        max_drop: The largest drop of the main metric, in points of a hundred; that of
            :data:`~lcnet_mm.deploy.evaluation.METRICS` by default.

    Raises:
        UserError: the evaluation gives no metric that is known, or NNCF fails.
    """
    work_dir = Path(work_dir)
    image = find_image(image)
    spec = resolve_export(deploy_cfg, cfg)
    processor = build_processor(deploy_cfg, cfg)
    with as_user_error('the model cannot be built', *BUILD_ERRORS):
        model = processor.build_pytorch_model(None).eval()
    onnx_file = work_dir / deploy_cfg.onnx_config.save_file
    with tempfile.TemporaryDirectory(dir=work_dir, prefix='.partial-') as folder, quiet():
        files = {
            'FP32': convert_onnx(onnx_file, Path(folder, 'fp32.xml')),
            'FP16': convert_onnx(onnx_file, Path(folder, 'fp16.xml'), ConversionOptions(compress_to_fp16=True)),
        }
        meter = _AccuracyMeter(processor, checkpoint, files['FP32'], spec.metric)
        if max_drop is None:
            max_drop = METRICS[meter.metric].int8_drop
        variants = [meter.first, meter.measure('FP16', files['FP16'])]
        arrays = calibration_arrays(processor, model.data_preprocessor, list(images))
        tried = _try_steps(files['FP32'], arrays, meter, max_drop)
        int8, files['INT8'] = min(tried, key=lambda entry: entry[0].drop)
        variants.append(int8)
        _add_latencies(variants, files, arrays[0].shape)
        _add_parity(variants, files, processor, spec, model, image)
        result = Quantization(
            metric=meter.metric,
            max_drop=max_drop,
            kept=_within(int8, max_drop),
            images=len(arrays),
            input_shape=arrays[0].shape,
            variants=variants,
            rejected=[variant for variant, _ in tried if variant is not int8],
        )
        if result.kept:
            _keep(files['INT8'], work_dir)
        write_json(work_dir / INT8_REPORT, result.to_dict())
    return result


class _AccuracyMeter:
    """Measures the accuracy of files against that of the first.

    Args:
        processor: mmdeploy's task processor.
        checkpoint: The checkpoint.
        float32: The first file.
        main: The main metric of the config's evaluator, if it is known.

    Attributes:
        metric: Name of the main metric.
        first: The measured first file.

    Raises:
        UserError: the evaluation has no metric of :data:`~lcnet_mm.deploy.evaluation.METRICS`.
    """

    def __init__(self, processor: Any, checkpoint: str | Path, float32: Path, main: str | None = None) -> None:
        self.processor, self.checkpoint = processor, checkpoint
        metrics = self.evaluate(float32)
        known = [name for name in (main, *METRICS) if name in METRICS and name in metrics]
        if not known:
            raise UserError(
                f'the evaluation gives {", ".join(metrics) or "nothing"}; INT8 needs one of {", ".join(METRICS)}'
            )
        self.metric = known[0]
        self.points = METRICS[self.metric].points
        self.first = Variant('FP32', '', _weight_bytes(float32), metrics[self.metric] * self.points, 0.0)

    def evaluate(self, file: Path) -> dict[str, float]:
        """Return all metrics of a file."""
        return evaluate(self.processor, self.checkpoint, file)

    def measure(self, name: str, file: Path, layers: str = '') -> Variant:
        """Measure another file."""
        # CocoMetric returns nothing where nothing was detected.
        accuracy = self.evaluate(file).get(self.metric, 0.0) * self.points
        return Variant(name, layers, _weight_bytes(file), accuracy, self.first.accuracy - accuracy)


def _weight_bytes(file: Path) -> int:
    """Return the size of the weights of an ``.xml``."""
    return file.with_suffix('.bin').stat().st_size


def _try_steps(
    float32: Path, arrays: Sequence[np.ndarray], meter: _AccuracyMeter, max_drop: float
) -> list[tuple[Variant, Path]]:
    """Quantize with one step after the other until the limit is held.

    Returns:
        Everything that was tried, with the files next to ``float32``; the last one holds the limit, or none does.

    Raises:
        UserError: NNCF fails, or there is nothing to quantise.
    """
    source = openvino_core().read_model(float32)
    tried: list[tuple[Variant, Path]] = []
    for index, step in enumerate(STEPS):
        with as_user_error('NNCF cannot quantize the model', RuntimeError):
            quantized = quantize(source.clone(), step, arrays)
        if quantized is None:
            continue
        file = save(quantized, float32.with_name(f'int8-{index}.xml'))
        tried.append((meter.measure('INT8', file, step.name), file))
        if _within(tried[-1][0], max_drop):
            break
    if not tried:
        raise UserError('the model has no convolution that could be quantized')
    return tried


def _within(variant: Variant, max_drop: float) -> bool:
    """Return whether the drop is allowed, up to the rounding of sums."""
    return variant.drop <= max_drop + 1e-6


def _add_latencies(variants: Sequence[Variant], files: dict[str, Path], shape: tuple[int, ...]) -> None:
    """Time the variants in turn on one thread."""
    times = time_in_turn({name: _compile(file, shape) for name, file in files.items()}, ROUNDS)
    for variant in variants:
        variant.milliseconds = 1e3 * times[variant.name].median


def _compile(file: Path, shape: tuple[int, ...]) -> Callable[[], Any]:
    """Return a function that runs a model once, on one thread and one fixed random input."""
    model = openvino_core().read_model(file)
    model.reshape(list(shape))
    return timed_call(compile_for_timing(model, threads=1))


def _add_parity(
    variants: Sequence[Variant], files: dict[str, Path], processor: Any, spec: ModelSpec, model: Any, image: Path
) -> None:
    """Compare the outputs for the image with those of the first variant."""
    deploy_cfg = processor.deploy_cfg
    _, tensor = load_input(processor, image, model.data_preprocessor)
    outputs = {name: open_file(file, deploy_cfg)(tensor) for name, file in files.items()}
    for variant in variants[1:]:
        factor = parity.FP16_FACTOR if variant.name == 'FP16' else parity.INT8_FACTOR
        found = compare_outputs(
            model, spec, deploy_cfg, outputs['FP32'], outputs[variant.name], tuple(tensor.shape), factor
        )
        variant.parity = '; '.join(f'{output}: {result.worst:.3g} {result.detail}' for output, result in found)


def _keep(file: Path, work_dir: Path) -> None:
    """Put an INT8 model into an export: its files first, then their mention in ``model.json``."""
    target = work_dir / INT8_MODEL
    description = json.loads((work_dir / 'model.json').read_text())
    info, _ = make_model_info(description)
    if info:
        write_model_info(file, info)
    for suffix in ('.bin', '.xml'):
        os.replace(file.with_suffix(suffix), target.with_suffix(suffix))
    description['int8'] = target.name
    description.setdefault('sha256', {})
    for path in (target, target.with_suffix('.bin')):
        description['files'][path.name] = path.stat().st_size
        description['sha256'][path.name] = sha256(path)
    write_json(work_dir / 'model.json', description)
