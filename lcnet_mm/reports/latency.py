"""The latency of a checkpoint's export to OpenVINO."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..data.spec import resolve_config
from ..utils.config import load_config
from ..utils.errors import UserError, describe_error
from ..utils.images import read_image
from ..utils.machine import physical_cores
from ..utils.optional import installed
from ..utils.timing import time_in_turn

_PACKAGES = ('mmdeploy', 'onnx', 'openvino')
_DEPLOY_CONFIGS = {
    'detection': 'lcnet_mm::deploy/detection_openvino_static-320x320.py',
    'segmentation': 'lcnet_mm::deploy/segmentation_openvino_static-512x1024.py',
    'classification': 'lcnet_mm::deploy/classification_openvino_static-224x224.py',
}
_ROUNDS = 30


def measure_export(cfg: Config, checkpoint: str | Path, image: str | Path) -> dict[str, Any]:
    """Export a checkpoint to OpenVINO at the size that its config tests with, and time it from image to result.

    The export is not kept.

    Args:
        cfg: The config of the checkpoint.
        checkpoint: The checkpoint.
        image: An image, on which the export is compared with PyTorch and timed.

    Returns:
        ``input_size`` (width, height), ``milliseconds`` by number of threads, with median, 90th percentile and
        minimum, and ``problem``, why the export is not proven to compute the same, or empty; or only ``missing``, why
        there is no export.
    """
    lacking = [package for package in _PACKAGES if not installed(package)]
    if lacking:
        return dict(missing=f'{", ".join(lacking)} is not installed (pip install "lcnet-mm[deploy]")')
    from ..deploy.export import deploy, quiet
    from ..runtime.loading import load_model

    try:
        spec = resolve_config(cfg)
        deploy_cfg = load_config(_DEPLOY_CONFIGS[spec.task])
        if spec.input_size:
            deploy_cfg.onnx_config.input_shape = list(spec.input_size)
        pixels = read_image(image)
        with tempfile.TemporaryDirectory() as folder:
            with quiet():
                export = deploy(deploy_cfg, cfg, str(cfg.filename), checkpoint, image, folder)
            models = {threads: load_model(folder, threads) for threads in sorted({1, physical_cores()})}
            calls = {str(threads): lambda model=model: model(pixels) for threads, model in models.items()}
            times = time_in_turn(calls, _ROUNDS)
    except (UserError, ValueError, RuntimeError, OSError) as error:
        reason = str(error) if isinstance(error, UserError) else describe_error(error)
        return dict(missing=f'the checkpoint cannot be exported: {reason}')
    return dict(
        input_size=list(deploy_cfg.onnx_config.input_shape),
        milliseconds={threads: latency.to_dict() for threads, latency in times.items()},
        load=round(os.getloadavg()[0], 2),
        problem=export.problem,
    )
