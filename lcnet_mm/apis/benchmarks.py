"""Measuring latencies and training steps."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.checks import check_data
from ..latency.benchmark import Report, Settings, run_benchmark
from ..latency.busy import BusyProfile, profile_busy
from ..latency.end_to_end import build_pipelines, measure
from ..latency.training import (
    RANDOM_SIZE,
    RandomBatches,
    TrainingBench,
    TrainingProfile,
    TrainingSettings,
    profile_training,
    stock_gfl,
)
from ..utils.config import load_config
from ..utils.errors import UserError


def benchmark(
    models: Sequence[str | Path] = (),
    *,
    suite: str | None = None,
    shape: Sequence[int] | None = None,
    settings: Settings | None = None,
) -> Report:
    """Time networks at batch 1, in turn, from the normalized image to the output of the network.

    The first network runs twice as a control; ``reliable`` says whether both of its times are close.

    Args:
        models: Configs, ``.xml`` and ``.onnx`` files, and folders of exports.
        suite: Name of a suite whose networks join, one of :data:`~lcnet_mm.latency.suites.SUITES`.
        shape: Height and width of the input of ``models``; that of each model by default.
        settings: How to measure; on OpenVINO with 50 rounds by default.

    Returns:
        All figures, which can be printed and saved.

    Raises:
        UserError: something cannot be built or read, or a setting is out of its range or would have no effect.
    """
    settings = settings or Settings()
    _check_least(rounds=(settings.rounds, 2), warmup=(settings.warmup, 0), threads=(min(settings.threads or [1]), 1))
    with tempfile.TemporaryDirectory() as folder:
        return run_benchmark([str(model) for model in models], suite, shape, settings, Path(folder))


def benchmark_runtime(
    deploy_config: str | Path,
    config: str | Path,
    checkpoint: str | Path,
    export: str | Path,
    image: str | Path,
    *,
    threads: Sequence[int] | None = None,
    rounds: int = 50,
) -> dict[int, dict[str, float]]:
    """Time a detector from the bytes of an image to detections, in turn: mmdet, mmdeploy, and the runtime.

    Args:
        deploy_config: The deploy config of the export.
        config: The config of the detector.
        checkpoint: Its checkpoint.
        export: The folder of its export.
        image: The image.
        threads: Numbers of threads; 1 and all cores by default.
        rounds: Number of calls that are recorded.

    Returns:
        For each number of threads the median seconds of ``'mmdet on PyTorch'``, ``"mmdeploy's backend model"`` and
        ``'lcnet_mm.runtime'``.

    Raises:
        UserError: a file is missing or wrong, or a number is too small.
    """
    threads = threads or sorted({1, torch.get_num_threads()})
    _check_least(rounds=(rounds, 1), threads=(min(threads), 1))
    if not Path(image).is_file():
        raise UserError(f'image {image} does not exist')
    deploy_cfg, cfg = load_config(deploy_config), load_config(config)
    content = np.fromfile(image, np.uint8)
    results, before = {}, torch.get_num_threads()
    try:
        for count in threads:
            torch.set_num_threads(count)
            results[count] = measure(build_pipelines(cfg, deploy_cfg, checkpoint, export, count), content, rounds)
    finally:
        torch.set_num_threads(before)
    return results


def benchmark_training(
    configs: Sequence[str | Path],
    *,
    settings: TrainingSettings | None = None,
    options: dict[str, Any] | None = None,
) -> dict[str, TrainingProfile]:
    """Train single-stage detectors for a few steps, in turn, and measure each part of a step.

    Args:
        configs: Configs of detectors of mmdet.
        settings: How to measure; 20 steps on the data of each config by default.
        options: Overrides of all configs.

    Returns:
        The times by config and variant.

    Raises:
        UserError: a config or its data cannot be read, or a setting is unknown, out of its range or without effect.
    """
    settings = settings or TrainingSettings()
    return profile_training(_build_benches(configs, settings, options), settings.steps)


def benchmark_busy(
    configs: Sequence[str | Path],
    *,
    settings: TrainingSettings | None = None,
    options: dict[str, Any] | None = None,
) -> dict[str, BusyProfile]:
    """Measure how much a busy process slows down a training step.

    Each config and variant is trained by itself, every other step while a process keeps one core busy.

    Args:
        configs: Configs of detectors of mmdet.
        settings: How to measure; ``steps`` is the number of steps of each kind.
        options: Overrides of all configs.

    Returns:
        The times by config and variant.

    Raises:
        UserError: as :func:`benchmark_training`.
    """
    settings = settings or TrainingSettings()
    benches = _build_benches(configs, settings, options)
    return {name: profile_busy(bench, settings.steps) for name, bench in benches.items()}


def _build_benches(
    configs: Sequence[str | Path], settings: TrainingSettings, options: dict[str, Any] | None
) -> dict[str, TrainingBench]:
    """Build what is trained, for each config and variant."""
    _check_training_settings(settings)
    loaded = {str(path): load_config(path, options) for path in configs}
    if settings.compare_gfl:
        first = next(iter(loaded.values()))
        loaded["mmdet's GFL"] = stock_gfl(first, light=False)
        loaded["mmdet's GFL at the same widths"] = stock_gfl(first, light=True)
    benches = {}
    for path, cfg in loaded.items():
        if settings.batch_size is not None:
            cfg.train_dataloader.batch_size = settings.batch_size
        batches = None
        if settings.boxes is None:
            check_data(cfg, ('train',))
        else:
            num_classes = cfg.model.bbox_head.num_classes
            size = settings.size or RANDOM_SIZE
            batches = RandomBatches(cfg.train_dataloader.batch_size, size, settings.boxes, num_classes)
        for variant in settings.variants:
            switches = [] if variant == 'default' else variant.split('+')
            benches[f'{path}, {variant}'] = TrainingBench(cfg, switches, batches, settings.epoch)
    return benches


def _check_training_settings(settings: TrainingSettings) -> None:
    """Check that numbers are not too small and that every setting has an effect.

    Raises:
        UserError: one is too small, or has none.
    """
    _check_least(steps=(settings.steps, 1), epoch=(settings.epoch, 0))
    if settings.boxes is not None:
        _check_least(boxes=(settings.boxes, 1))
    if settings.batch_size is not None:
        _check_least(batch_size=(settings.batch_size, 1))
    if settings.size is not None:
        if settings.boxes is None:
            raise UserError(
                f"size {settings.size} has no effect on the configs' own data, only on random images; give the number "
                'of boxes in each of them too'
            )
        _check_least(size=(settings.size, 32))


def _check_least(**values: tuple[int, int]) -> None:
    """Check that numbers are not smaller than they may be.

    Raises:
        UserError: one is; the message names the argument.
    """
    for name, (value, least) in values.items():
        if value < least:
            raise UserError(f'{name} must be at least {least}, got {value}')
