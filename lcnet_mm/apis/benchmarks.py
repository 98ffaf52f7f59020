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
from ..latency.training import RandomBatches, TrainingBench, TrainingProfile, profile_training, stock_gfl
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

    The first network runs twice as a control; ``reliable`` says whether both times are close.

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
    steps: int = 20,
    variants: Sequence[str] = ('default',),
    compare_gfl: bool = False,
    boxes: int | None = None,
    size: int = 320,
    batch_size: int | None = None,
    epoch: int = 0,
    options: dict[str, Any] | None = None,
) -> dict[str, TrainingProfile]:
    """Train single-stage detectors for a few steps, in turn, and measure each part of a step.

    Args:
        configs: Configs of detectors of mmdet.
        steps: Number of steps of each that are recorded.
        variants: How each config is run: 'default', or :data:`~lcnet_mm.latency.training.SWITCHES` joined with ``+``.
        compare_gfl: Whether to train mmdet's GFL with the first config's backbone too, as it is and at the config's
            widths.
        boxes: Number of boxes of random images; None trains on the data of each config.
        size: Height and width of the random images.
        batch_size: Images per step instead of the config's.
        epoch: The epoch, for heads that change their assigner during the training.
        options: Overrides of all configs.

    Returns:
        The times by config and variant.

    Raises:
        UserError: a config or its data cannot be read, or a variant is unknown.
    """
    benches = _build_benches(configs, variants, compare_gfl, boxes, size, batch_size, epoch, options)
    return profile_training(benches, steps)


def benchmark_busy(
    configs: Sequence[str | Path],
    *,
    steps: int = 20,
    variants: Sequence[str] = ('default',),
    compare_gfl: bool = False,
    boxes: int | None = None,
    size: int = 320,
    batch_size: int | None = None,
    epoch: int = 0,
    options: dict[str, Any] | None = None,
) -> dict[str, BusyProfile]:
    """Measure how much a busy process slows down a training step.

    Args:
        configs: As for :func:`benchmark_training`, and so are all other arguments.
        steps: Number of steps of each, with the busy process and without it in turn.
        variants: How each config is run.
        compare_gfl: Whether to train mmdet's GFL too.
        boxes: Number of boxes of random images.
        size: Height and width of the random images.
        batch_size: Images per step instead of the config's.
        epoch: The epoch, for heads that change their assigner during the training.
        options: Overrides of all configs.

    Returns:
        The times by config and variant.

    Raises:
        UserError: a config or its data cannot be read, or a variant is unknown.
    """
    benches = _build_benches(configs, variants, compare_gfl, boxes, size, batch_size, epoch, options)
    return {name: profile_busy(bench, steps) for name, bench in benches.items()}


def _build_benches(
    configs: Sequence[str | Path],
    variants: Sequence[str],
    compare_gfl: bool,
    boxes: int | None,
    size: int,
    batch_size: int | None,
    epoch: int,
    options: dict[str, Any] | None,
) -> dict[str, TrainingBench]:
    """Build what is trained, for each config and variant."""
    loaded = {str(path): load_config(path, options) for path in configs}
    if compare_gfl:
        first = next(iter(loaded.values()))
        loaded["mmdet's GFL"] = stock_gfl(first, light=False)
        loaded["mmdet's GFL at the same widths"] = stock_gfl(first, light=True)
    benches = {}
    for path, cfg in loaded.items():
        if batch_size:
            cfg.train_dataloader.batch_size = batch_size
        batches = None
        if boxes is None:
            check_data(cfg, ('train',))
        else:
            num_classes = cfg.model.bbox_head.num_classes
            batches = RandomBatches(cfg.train_dataloader.batch_size, size, boxes, num_classes)
        for variant in variants:
            switches = [] if variant == 'default' else variant.split('+')
            benches[f'{path}, {variant}'] = TrainingBench(cfg, switches, batches, epoch)
    return benches


def _check_least(**values: tuple[int, int]) -> None:
    """Check that numbers are not smaller than they may be.

    Raises:
        UserError: one is; the message names the argument.
    """
    for name, (value, least) in values.items():
        if value < least:
            raise UserError(f'{name} must be at least {least}, got {value}')
