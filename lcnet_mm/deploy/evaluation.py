"""The metrics of an exported model, on the test data of its config."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..data.checks import check_data
from ..data.spec import datasets_of, resolve_config
from ..utils.checkpoint import load_weights
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from .pipelines import mean_pixel, own_pipeline, static_pipeline


@dataclass(frozen=True)
class Metric:
    """How a main metric is judged.

    Attributes:
        points: Points of a hundred per unit of the metric.
        export_drop: Points that an exported model may lose against PyTorch.
        int8_drop: Points that INT8 may lose against FP32 by default.
    """

    points: float
    export_drop: float
    int8_drop: float


METRICS = {
    'coco/bbox_mAP': Metric(100.0, 0.1, 0.5),
    'pascal_voc/mAP': Metric(100.0, 0.1, 0.5),
    'mIoU': Metric(1.0, 0.1, 1.0),
    'accuracy/top1': Metric(1.0, 0.05, 1.0),
}
# Classes that are decided before the resize have coarser outlines than PyTorch's.
ARGMAX_FIRST_DROP = 3.0


def evaluate(processor: Any, checkpoint: str | Path, file: Path | None = None) -> dict[str, float]:
    """Evaluate on the config's test data, at the input size of the export.

    PyTorch runs the config's own test pipeline, as ``lcnet test`` does, and the exported model the one that a static
    shape can have; see :mod:`lcnet_mm.deploy.pipelines`.

    Args:
        processor: mmdeploy's task processor.
        checkpoint: The checkpoint.
        file: The exported file; without one the PyTorch model is evaluated.

    Returns:
        The metrics by name; none where a detector found nothing at all.

    Raises:
        UserError: the data or the config is wrong.
    """
    cfg = deepcopy(processor.model_cfg)
    size = processor.deploy_cfg.onnx_config.get('input_shape')
    pad_value = mean_pixel(resolve_config(cfg))
    for dataset in datasets_of(cfg, 'test') if size else ():
        if file is None:
            dataset.pipeline = own_pipeline(dataset.pipeline, tuple(size))
        else:
            dataset.pipeline = static_pipeline(dataset.pipeline, tuple(size), pad_value)
    if file is not None and size:
        # A static network takes one image at a time, and ONNX Runtime would refuse more.
        cfg.test_dataloader.batch_size = 1
    # Hooks of training such as the EMA copy the model, and a compiled one cannot be copied.
    cfg.custom_hooks = []
    # One that writes nothing and has no name: mmengine keeps named ones for the whole process.
    cfg.visualizer = dict(type='mmengine.Visualizer', vis_backends=None)
    cfg.update(resume=False, load_from=None, launcher='none')
    check_data(cfg, ('test',))
    with tempfile.TemporaryDirectory() as logs:
        cfg.work_dir = logs
        with as_user_error('the config cannot be built', *BUILD_ERRORS):
            runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        if file is None:
            load_weights(runner.model, checkpoint)
        else:
            runner.model = processor.build_backend_model([str(file)])
        metrics = runner.test()
    return {key: float(value) for key, value in metrics.items()}


def use_annotations(cfg: Config, ann_file: str | Path) -> None:
    """Let a config's test data and their evaluator read another annotation file.

    Args:
        cfg: The config, which is changed.
        ann_file: The file.

    Raises:
        UserError: the config has no test data or evaluator, or several data sets, of which each has a file of its own.
    """
    datasets = datasets_of(cfg, 'test')
    if not datasets or not cfg.get('test_evaluator'):
        raise UserError(f'evaluating on {ann_file} needs a config with test_dataloader and test_evaluator')
    if len(datasets) > 1:
        raise UserError(f'evaluating on {ann_file} needs a config with one test data set, and it has {len(datasets)}')
    datasets[0].ann_file = str(ann_file)
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    for evaluator in evaluators:
        evaluator.ann_file = str(ann_file)


def drops(metrics: dict[str, dict[str, float]], argmax_first: bool = False) -> dict[str, float]:
    """Return the main metrics of which the exported model loses more than :data:`METRICS` allows.

    Args:
        metrics: Those of the sides 'pytorch' and 'exported'; empty where nothing was evaluated.
        argmax_first: Whether the export decides the classes of pixels before it resizes.

    Returns:
        The losses by name, in the metric's own unit.

    Raises:
        UserError: the evaluation has no metric that is known, so that nothing can be compared.
    """
    if not metrics or not metrics['pytorch']:
        return {}
    if not set(METRICS) & set(metrics['pytorch']):
        raise UserError(
            f'the evaluation gives {", ".join(metrics["pytorch"])}; to compare the accuracy it needs one of '
            f'{", ".join(METRICS)}'
        )
    lost = {}
    for name in set(METRICS) & set(metrics['pytorch']):
        drop = metrics['pytorch'][name] - metrics['exported'].get(name, 0.0)
        allowed = ARGMAX_FIRST_DROP if argmax_first and name == 'mIoU' else METRICS[name].export_drop
        if METRICS[name].points * drop > allowed:
            lost[name] = drop
    return lost
