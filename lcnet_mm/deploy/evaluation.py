"""The metrics of an exported model, on the test data of its config."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..apis.test import test

# Largest drop of the main metric that --data accepts, in the metric's own unit.
METRIC_LIMITS = {'coco/bbox_mAP': 0.001, 'mIoU': 0.1, 'accuracy/top1': 0.05}


def evaluate(processor: Any, cfg: Config, checkpoint: str | Path, file: Path | None = None) -> dict[str, float]:
    """Evaluate on the config's test data, at the input size of the export.

    Args:
        processor: mmdeploy's task processor.
        cfg: The model's config.
        checkpoint: Its checkpoint.
        file: The exported file; without one the PyTorch model is evaluated.

    Returns:
        The metrics by name; none where a detector found nothing at all.

    Raises:
        UserError: the data or the config is wrong.
    """
    cfg = deepcopy(cfg)
    shape = processor.deploy_cfg.onnx_config.get('input_shape')
    for step in cfg.test_dataloader.dataset.pipeline if shape else []:
        if step['type'].split('.')[-1] == 'Resize':
            step.update(scale=tuple(shape), keep_ratio=False)
    # Hooks of training such as the EMA copy the model, and a compiled one cannot be copied.
    cfg.custom_hooks = []
    # One that writes nothing: mmengine keeps a visualizer for the whole process, with the folder of the first runner.
    cfg.visualizer = dict(type='mmengine.Visualizer', name='evaluation', vis_backends=None)
    build_model = partial(processor.build_backend_model, [str(file)]) if file else None
    with tempfile.TemporaryDirectory() as logs:
        metrics = test(cfg, checkpoint, work_dir=logs, build_model=build_model)
    return {key: float(value) for key, value in metrics.items()}


def drops(metrics: dict[str, dict[str, float]], limits: dict[str, float] = METRIC_LIMITS) -> dict[str, float]:
    """The main metrics that the exported model loses too much of, with the loss."""
    if not metrics:
        return {}
    lost = {key: metrics['pytorch'][key] - metrics['exported'].get(key, 0.0) for key in metrics['pytorch']}
    return {key: lost[key] for key, limit in limits.items() if lost.get(key, 0.0) > limit}
