"""Time detectors from the bytes of an image file to detections: PyTorch, mmdeploy's backend model and the runtime."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdeploy.apis import build_task_processor
from mmengine.config import Config

from ..deploy.backend import compile_options
from ..runtime import Detector
from ..utils.checkpoint import load_weights
from ..utils.errors import UserError


def _decode(data: np.ndarray) -> np.ndarray:
    """Decode the bytes of an image file to BGR ``(H, W, 3)`` uint8.

    Raises:
        UserError: they are not an image.
    """
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if image is None:
        raise UserError('the image cannot be decoded')
    return image


def build_pipelines(
    cfg: Config, deploy_cfg: Config, checkpoint: str | Path, model_dir: str | Path, threads: int
) -> dict[str, Callable[[np.ndarray], Any]]:
    """Return functions from the bytes of an image file to detections, by name.

    Args:
        cfg: The config of a detector.
        deploy_cfg: The deploy config that it was exported with.
        checkpoint: Its checkpoint.
        model_dir: The folder of its export.
        threads: Number of threads of OpenVINO; PyTorch uses those of the process.
    """
    from mmdet.apis import inference_detector, init_detector
    from mmdet.utils import get_test_pipeline_cfg

    runtime = Detector(model_dir, threads)
    # The size of the export, which may differ from that of the deploy config.
    shape = runtime.description['input']['size']
    model = init_detector(cfg, None, device='cpu')
    load_weights(model, checkpoint)
    steps = get_test_pipeline_cfg(cfg.copy())
    steps[0] = dict(type='mmdet.LoadImageFromNDArray')
    for step in steps:
        if step['type'].split('.')[-1] == 'Resize' and shape:
            step.update(scale=tuple(shape), keep_ratio=False)
    pipeline: Any = Compose(steps)

    deploy_cfg = deploy_cfg.copy()
    deploy_cfg.onnx_config.input_shape = shape
    deploy_cfg.backend_config.compile_options = {**compile_options(deploy_cfg), 'INFERENCE_NUM_THREADS': threads}
    file = Path(model_dir, runtime.description['model'])
    backend: Any = build_task_processor(cfg, deploy_cfg, 'cpu').build_backend_model([str(file)])

    def through_torch(data: np.ndarray) -> Any:
        return inference_detector(model, _decode(data), test_pipeline=pipeline)

    def through_mmdeploy(data: np.ndarray) -> Any:
        sample = pipeline(dict(img=_decode(data), img_id=0))
        with torch.no_grad():
            return backend.test_step(dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']]))

    return {
        'mmdet on PyTorch': through_torch,
        "mmdeploy's backend model": through_mmdeploy,
        'lcnet_mm.runtime': lambda data: runtime(_decode(data)),
    }


def measure(
    pipelines: dict[str, Callable[[np.ndarray], Any]], data: np.ndarray, rounds: int, warmup: int = 10
) -> dict[str, float]:
    """Call each function once in every round.

    Args:
        pipelines: The functions, as :func:`build_pipelines` returns them.
        data: The bytes of an image file.
        rounds: Number of rounds that are recorded.
        warmup: Number of rounds before them that are not.

    Returns:
        The median seconds of each function.
    """
    seconds: dict[str, list[float]] = {name: [] for name in pipelines}
    for index in range(warmup + rounds):
        for name, run in pipelines.items():
            start = time.perf_counter()
            run(data)
            if index >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}
