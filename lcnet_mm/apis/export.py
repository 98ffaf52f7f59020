"""Exporting a checkpoint and quantizing the export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdeploy.utils import get_backend
from mmengine.config import Config

from ..deploy import export
from ..deploy.accuracy_control import Quantization, check_int8, quantize_export
from ..deploy.description import INT8_MODEL
from ..deploy.evaluation import use_annotations
from ..deploy.export import Export
from ..deploy.serving import check_layout, write_version
from ..utils.config import load_config
from ..utils.errors import UserError
from ..weights.cache import local_checkpoint


@dataclass(frozen=True)
class Deployment:
    """What :func:`deploy` made.

    Attributes:
        export: The exported files, and how they compare with PyTorch.
        quantization: The INT8 model and its accuracy; None if none was asked for, or the export is not proven to
            compute the same.
        version: With the layout of OpenVINO Model Server, the folder of the version in it.
    """

    export: Export
    quantization: Quantization | None = None
    version: Path | None = None

    @property
    def passed(self) -> bool:
        """Whether the export is proven to compute the same, and an INT8 model that was asked for is kept."""
        return self.export.passed and (self.quantization is None or self.quantization.kept)


def deploy(
    deploy_config: str | Path,
    config: str | Path,
    checkpoint: str | Path,
    image: str | Path,
    work_dir: str | Path,
    *,
    input_size: tuple[int, int] | None = None,
    data: bool | str | Path = False,
    calib: str | Path | None = None,
    max_drop: float | None = None,
    layout: str = 'files',
    options: dict[str, Any] | None = None,
) -> Deployment:
    """Export a checkpoint to ONNX and OpenVINO, compare both with PyTorch, and quantize the export if asked to.

    Args:
        deploy_config: The deploy config.
        config: The config that the checkpoint was trained with.
        checkpoint: The checkpoint; every tensor must fit.
        image: An image for the comparison; a detector must find something in it.
        work_dir: Folder of the results; see :func:`lcnet_mm.deploy.export.deploy` for its files.
        input_size: Static width and height of the input instead of the deploy config's.
        data: Whether to compare the metrics too, on the config's test data, or the annotation file to use instead.
        calib: Images to calibrate INT8 on, a folder or a COCO annotation file; None for no INT8.
        max_drop: Points of a hundred that INT8 may lose; the default depends on the metric.
        layout: ``'files'``, or ``'ovms'`` to add a folder ``1`` with the model, or with the INT8 model where that is
            kept, for OpenVINO Model Server.
        options: Overrides of the config.

    Returns:
        The export and the quantization.

    Raises:
        UserError: a file is missing or wrong, or the configs do not go together.
    """
    deploy_cfg, cfg = _load_configs(deploy_config, config, input_size, options)
    if not isinstance(data, bool):
        use_annotations(cfg, data)
    if calib is None and max_drop is not None:
        raise UserError('max_drop is the limit of INT8, which needs calib, images to calibrate on')
    # Before the export, so that a mistake is found early.
    images = None if calib is None else check_int8(deploy_cfg, cfg, calib, max_drop)
    check_layout(layout, get_backend(deploy_cfg).value)
    checkpoint = local_checkpoint(checkpoint)
    result = export.deploy(deploy_cfg, cfg, str(config), checkpoint, image, work_dir, with_data=data is not False)
    if not result.passed:
        return Deployment(result)
    model_file, quantization = result.work_dir / 'end2end.xml', None
    if images is not None:
        quantization = quantize_export(deploy_cfg, cfg, checkpoint, image, work_dir, images, max_drop)
        if quantization.kept:
            model_file = model_file.with_name(INT8_MODEL)
    return Deployment(result, quantization, write_version(model_file) if layout == 'ovms' else None)


def quantize(
    deploy_config: str | Path,
    config: str | Path,
    checkpoint: str | Path,
    image: str | Path,
    work_dir: str | Path,
    calib: str | Path,
    *,
    input_size: tuple[int, int] | None = None,
    max_drop: float | None = None,
    options: dict[str, Any] | None = None,
) -> Quantization:
    """Add an INT8 model to an export that :func:`deploy` has made, if its accuracy stays within a limit.

    Args:
        deploy_config: The deploy config of the export.
        config: The config that the checkpoint was trained with.
        checkpoint: The checkpoint that was exported.
        image: The image that the outputs are compared on.
        work_dir: The folder of the export.
        calib: Images to calibrate on: a folder or a COCO annotation file.
        input_size: Static width and height of the input, as for the export.
        max_drop: Points of a hundred that INT8 may lose; the default depends on the metric.
        options: Overrides of the config.

    Returns:
        The accuracy and latency of FP32, FP16 and INT8; ``kept`` says whether INT8 was written.

    Raises:
        UserError: a file is missing or wrong, ``work_dir`` has no export, or the config has no test data.
    """
    deploy_cfg, cfg = _load_configs(deploy_config, config, input_size, options)
    images = check_int8(deploy_cfg, cfg, calib, max_drop)
    onnx_file = Path(work_dir) / deploy_cfg.onnx_config.save_file
    if not onnx_file.is_file():
        raise UserError(f'{onnx_file} does not exist; export the checkpoint to {work_dir} first')
    return quantize_export(deploy_cfg, cfg, checkpoint, image, work_dir, images, max_drop)


def _load_configs(
    deploy_config: str | Path, config: str | Path, input_size: tuple[int, int] | None, options: dict[str, Any] | None
) -> tuple[Config, Config]:
    """Read the deploy config, at another input size if one is given, and the model's config."""
    deploy_cfg = load_config(deploy_config)
    if input_size is not None:
        deploy_cfg.onnx_config.input_shape = list(input_size)
    return deploy_cfg, load_config(config, options)
