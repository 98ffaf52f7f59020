"""From a checkpoint to files that run without PyTorch, with the proof that they compute the same."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmdeploy.apis import build_task_processor, torch2onnx
from mmdeploy.utils import get_backend, get_root_logger
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm

from ..data.spec import TASKS, ModelSpec, resolve_config
from ..utils.checkpoint import load_weights
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.files import is_same_file, make_folder, sha256, write_json
from ..utils.images import find_images, read_image
from ..utils.models import build_model
from . import parity
from .backend import conversion_options
from .comparison import compare
from .conversion import convert_onnx
from .description import INT8_MODEL, INT8_REPORT, describe_model, describe_preprocessing
from .evaluation import drops, evaluate
from .inputs import PixelCheck, check_pixels, raw_input
from .model_info import make_model_info, write_model_info
from .pipelines import at_static_size, own_pipeline
from .rewriters import argmax_first
from .support import check_support

_FILES = (
    *('end2end.onnx', 'end2end.xml', 'end2end.bin', 'model.json', 'parity.json', 'pytorch.jpg', 'exported.jpg'),
    *(INT8_MODEL, INT8_REPORT),
)


@dataclass
class Export:
    """What :func:`deploy` made.

    Attributes:
        work_dir: The folder of all files.
        comparisons: The parity on each input, backend and output.
        metrics: With data, the metrics of PyTorch and of the exported model.
        problem: Why the export is not proven to compute the same, in one line; empty where it is.
        note: What the metadata of OpenVINO Model API cannot express, in one line; empty where the files have it.
    """

    work_dir: Path
    comparisons: list[parity.Comparison]
    metrics: dict[str, dict[str, float]]
    problem: str
    note: str = ''

    @property
    def passed(self) -> bool:
        """Whether the export is proven to compute the same."""
        return not self.problem


def deploy(
    deploy_cfg: Config,
    cfg: Config,
    config_name: str,
    checkpoint: str | Path,
    image: str | Path,
    work_dir: str | Path,
    *,
    with_data: bool = False,
) -> Export:
    """Export a checkpoint to ONNX and OpenVINO and compare them with PyTorch.

    Writes ``end2end.onnx``, with OpenVINO ``end2end.xml`` and ``.bin``, ``model.json``, ``parity.json`` and the
    drawings of both sides. The models carry the metadata of OpenVINO Model API where it can express them. The files
    appear in ``work_dir`` when the export is complete; where it fails, older ones stay.

    Args:
        deploy_cfg: The deploy config.
        cfg: The config that the checkpoint was trained with.
        config_name: Its file, for the record.
        checkpoint: The checkpoint; every tensor must fit.
        image: An image for the comparison; a detector must find something in it.
        work_dir: Folder of the results.
        with_data: Whether to compare the metrics on the config's test data too.

    Raises:
        UserError: a file is missing or wrong, or the deploy config is for another library.
    """
    scope, codebase = cfg.get('default_scope'), deploy_cfg.get('codebase_config', {}).get('type')
    if codebase not in TASKS:
        raise UserError(f'the deploy config has codebase_config.type={codebase!r}, expected one of {tuple(TASKS)}')
    if scope != codebase:
        raise UserError(f'the deploy config is for {codebase}, the model config for {scope}')
    image = find_image(image)
    processor = build_processor(deploy_cfg, cfg)
    with as_user_error('the model cannot be built', *BUILD_ERRORS):
        # Not the processor's, which folds branches before their weights are loaded. Compared with the exported file,
        # which is folded, the branches prove the folding.
        model: Any = revert_sync_batchnorm(build_model(cfg))
    spec = resolve_export(deploy_cfg, cfg, load_weights(model, checkpoint))
    model.eval()
    check_support(model, spec, cfg)
    describe_preprocessing(spec)

    work_dir = Path(work_dir)
    for given in (image, checkpoint, config_name):
        if any(is_same_file(work_dir / name, given) for name in _FILES):
            raise UserError(f'{given} is an input and has the name of a result in {work_dir}; choose another folder')
    make_folder(work_dir)
    with (
        as_user_error(f'the export cannot be written to {work_dir}', OSError),
        tempfile.TemporaryDirectory(dir=work_dir, prefix='.partial-') as folder,
    ):
        partial_dir = Path(folder)
        files = _export_files(processor, checkpoint, image, partial_dir)
        description = describe_model(
            model, spec, cfg, deploy_cfg, model_file=files[-1].name, config=config_name, checkpoint=checkpoint
        )
        info, gap = make_model_info(description)
        if info:
            for file in files:
                write_model_info(file, info)
        exported = sorted(partial_dir.glob('end2end.*'))
        description['files'] = {path.name: path.stat().st_size for path in exported}
        description['sha256'] = {path.name: sha256(path) for path in exported}
        write_json(partial_dir / 'model.json', description)
        with quiet():
            size = deploy_cfg.onnx_config.get('input_shape')
            steps = own_pipeline(resolve_config(cfg).pipeline, tuple(size) if size else None)
            pixels = check_pixels(steps, scope, description['input'], image)
            comparisons = compare(processor, spec, model, files, image)
            sides = {'pytorch': None, 'exported': files[-1]} if with_data else {}
            metrics = {side: evaluate(processor, checkpoint, file) for side, file in sides.items()}
            _draw(processor, model, files[-1], image, partial_dir)
        lost = drops(metrics, argmax_first(deploy_cfg))
        result = Export(
            work_dir,
            comparisons,
            metrics,
            _find_problem(pixels, comparisons, metrics, lost),
            gap and f'the files have no metadata for OpenVINO Model API and DL Streamer, which cannot express {gap}',
        )
        report = dict(
            passed=result.passed,
            problem=result.problem,
            pixels=pixels.to_dict(),
            comparisons=[c.to_dict() for c in comparisons],
            metrics=metrics,
            too_large=lost,
        )
        write_json(partial_dir / 'parity.json', report)
        # Those of an earlier checkpoint; a quantization after this export makes new ones.
        for stale in (INT8_MODEL, Path(INT8_MODEL).with_suffix('.bin'), INT8_REPORT):
            (work_dir / stale).unlink(missing_ok=True)
        for path in sorted(partial_dir.iterdir()):
            if path.is_file():
                os.replace(path, work_dir / path.name)
    return result


def find_image(source: str | Path) -> Path:
    """Return the one image that an export is compared on.

    Args:
        source: An image, or a folder with one.

    Raises:
        UserError: it does not exist or cannot be decoded, or the folder has several images.
    """
    found = find_images([source])
    if len(found) > 1:
        raise UserError(
            f'an export is compared on one image, and the folder {source} has {len(found)}; name one of them, '
            f'such as {found[0]}'
        )
    with as_user_error(f'image {found[0]}', ValueError):
        read_image(found[0])
    return found[0]


def resolve_export(deploy_cfg: Config, cfg: Config, meta: dict[str, Any] | None = None) -> ModelSpec:
    """Resolve a config for an export; at the size of the deploy config where that is static.

    Raises:
        UserError: as :func:`~lcnet_mm.data.spec.resolve_config`, or the config has no test pipeline.
    """
    spec = resolve_config(cfg, meta)
    if not spec.pipeline:
        raise UserError('the config has no test pipeline; an export needs test_dataloader.dataset.pipeline')
    size = deploy_cfg.onnx_config.get('input_shape')
    return at_static_size(spec, (int(size[0]), int(size[1]))) if size else spec


def build_processor(deploy_cfg: Config, cfg: Config) -> Any:
    """Build mmdeploy's task processor on a copy of the model's config, whose test pipeline has the exported size."""
    spec = resolve_export(deploy_cfg, cfg)
    cfg = deepcopy(cfg)
    # mmdeploy resizes for detectors and segmentors alone.
    cfg.test_pipeline = list(spec.pipeline)
    return build_task_processor(cfg, deploy_cfg, 'cpu')


@contextmanager
def quiet() -> Iterator[None]:
    """Keep away the tracer's warnings on every shape it meets, and the mm libraries' notes on their registries."""
    loggers = [get_root_logger(), MMLogger.get_current_instance()]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _export_files(processor: Any, checkpoint: str | Path, image: Path, folder: Path) -> list[Path]:
    """Write the ``.onnx`` file, and the ``.xml`` file where the backend is OpenVINO."""
    deploy_cfg = processor.deploy_cfg
    onnx_file = folder / deploy_cfg.onnx_config.save_file
    with quiet(), as_user_error('the export to ONNX failed', Exception):
        torch2onnx(
            str(image), str(folder), onnx_file.name, deploy_cfg, processor.model_cfg, str(checkpoint), device='cpu'
        )
    if get_backend(deploy_cfg).value != 'openvino':
        return [onnx_file]
    return [onnx_file, convert_onnx(onnx_file, onnx_file.with_suffix('.xml'), conversion_options(deploy_cfg))]


def _find_problem(
    pixels: PixelCheck,
    comparisons: list[parity.Comparison],
    metrics: dict[str, dict[str, float]],
    lost: dict[str, float],
) -> str:
    """Say in one line why the export is not proven to compute the same; empty where it is."""
    if not pixels.passed:
        return f"the export does not get the image that the config's test pipeline makes: {pixels.detail}"
    wrong = [c for c in comparisons if not c.passed and not c.empty]
    if wrong:
        first = wrong[0]
        return (
            f'the export does not compute the same: {first.output} of {first.backend} on {first.input}: '
            f'{first.worst:.3g} {first.detail}, {first.limit:.3g} is allowed'
        )
    if not parity.is_proven(comparisons):
        return (
            'nothing was detected that could be compared, neither in the image nor in random inputs, so nothing is '
            'proven; give an image with objects, or lower model.test_cfg.score_thr'
        )
    if lost:
        return 'the export loses accuracy: ' + ', '.join(f'{name} by {drop:.4g}' for name, drop in lost.items())
    if metrics and not metrics['pytorch']:
        return 'nothing was detected in the test data, so that the equal accuracy proves nothing'
    return ''


def _draw(processor: Any, model: Any, file: Path, image: Path, folder: Path) -> None:
    """Draw the predictions of both sides on the image, ``pytorch.jpg`` and ``exported.jpg``."""
    backend = processor.build_backend_model([str(file)])
    array = read_image(image)[..., ::-1]
    for name, side in (('pytorch', model), ('exported', backend)):
        with torch.no_grad():
            (sample,) = side.test_step(raw_input(processor, image))
        # Not the processor's visualize, which reads the image in its own way.
        visualizer = processor.get_visualizer(f'{name} of {folder}', str(folder))
        target = dict(out_file=str(folder / f'{name}.jpg'), draw_gt=False)
        if hasattr(visualizer, 'visualize_cls'):
            visualizer.visualize_cls(array, sample, **target)
        else:
            visualizer.add_datasample(name, array, sample.cpu(), **target)
