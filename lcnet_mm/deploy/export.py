"""From a checkpoint to files that run without PyTorch, with the proof that they compute the same."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from mmdeploy.apis import build_task_processor, torch2onnx
from mmdeploy.core import RewriterContext
from mmdeploy.utils import get_backend, get_root_logger
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import Tensor

from ..data.classes import dataset_classes, dataset_palette, head_class_numbers
from ..utils.checkpoint import load_weights
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.files import write_json
from ..utils.images import find_images, read_image
from . import parity
from .backend import OpenVINOWrapper, compile_options, convert_onnx
from .description import INT8_MODEL, INT8_REPORT, TASKS, describe_model
from .evaluation import METRIC_LIMITS, drops, evaluate
from .rewriters import argmax_first, classes_at_input_size, is_raw

NUM_RANDOM = 2
# Classes decided before the resize have coarser outlines than PyTorch's.
ARGMAX_FIRST_LIMITS = {'mIoU': 3.0}


@dataclass
class Export:
    """What :func:`deploy` made.

    Attributes:
        work_dir: The folder of all files.
        comparisons: The parity on each input, backend and output.
        metrics: With data, the metrics of PyTorch and of the exported model.
        passed: Whether all tolerances hold.
    """

    work_dir: Path
    comparisons: list[parity.Comparison]
    metrics: dict[str, dict[str, float]]
    passed: bool


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
    drawings of both sides. The files appear in ``work_dir`` when the export is complete; where it fails, older ones
    stay.

    Args:
        deploy_cfg: The deploy config.
        cfg: The config that the checkpoint was trained with.
        config_name: Its file, for the record.
        checkpoint: The checkpoint; every tensor must fit.
        image: A picture for the comparison.
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
    (image,) = find_images([image])
    with as_user_error(f'picture {image}', ValueError):
        read_image(image)
    processor = build_processor(deploy_cfg, cfg)
    cfg = processor.model_cfg
    with as_user_error('the model cannot be built', *BUILD_ERRORS):
        model = processor.build_pytorch_model(None)
    meta = load_weights(model, checkpoint).get('dataset_meta') or {}
    meta = {'palette': dataset_palette(cfg), **meta, 'classes': meta.get('classes') or class_names(cfg)}
    model.eval()

    work_dir = Path(work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work_dir, prefix='.partial-') as folder:
        partial_dir = Path(folder)
        onnx_file = partial_dir / deploy_cfg.onnx_config.save_file
        with quiet(), as_user_error('the export to ONNX failed', Exception):
            torch2onnx(str(image), folder, onnx_file.name, deploy_cfg, cfg, str(checkpoint), 'cpu')
        files = [onnx_file]
        if get_backend(deploy_cfg).value == 'openvino':
            fp16 = deploy_cfg.backend_config.get('compress_to_fp16', False)
            files.append(convert_onnx(onnx_file, onnx_file.with_suffix('.xml'), fp16))
        description = describe_model(
            model, cfg, deploy_cfg, meta, model_file=files[-1].name, config=config_name, checkpoint=checkpoint
        )
        description['files'] = {path.name: path.stat().st_size for path in sorted(partial_dir.glob('end2end.*'))}
        write_json(partial_dir / 'model.json', description)
        with quiet():
            comparisons = compare(processor, model, files, image)
            sides = {'pytorch': None, 'exported': files[-1]} if with_data else {}
            metrics = {side: evaluate(processor, cfg, checkpoint, file) for side, file in sides.items()}
            draw(processor, model, files[-1], image, partial_dir)
        too_large = drops(metrics, ARGMAX_FIRST_LIMITS if argmax_first(deploy_cfg) else METRIC_LIMITS)
        passed = all(c.passed for c in comparisons) and not too_large
        report = dict(
            passed=passed, comparisons=[c.to_dict() for c in comparisons], metrics=metrics, too_large=too_large
        )
        write_json(partial_dir / 'parity.json', report)
        # Those of an earlier checkpoint; tools/deploy.py --int8 makes new ones from this export.
        for name in (INT8_MODEL, Path(INT8_MODEL).with_suffix('.bin'), INT8_REPORT):
            (work_dir / name).unlink(missing_ok=True)
        for path in sorted(partial_dir.iterdir()):
            if path.is_file():
                os.replace(path, work_dir / path.name)
    return Export(work_dir, comparisons, metrics, passed)


def build_processor(deploy_cfg: Config, cfg: Config) -> Any:
    """Build mmdeploy's task processor on a copy of the model's config."""
    cfg = deepcopy(cfg)
    # mmdeploy removes mmseg's LoadAnnotations alone.
    cfg.test_pipeline = [step for step in cfg.test_pipeline if not step['type'].endswith('Annotations')]
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


def class_names(cfg: Config) -> list[str]:
    """Names of the classes from the config's test data, or their numbers where it has none that fit the model."""
    dataset = cfg.get('test_dataloader', {}).get('dataset')
    names = dataset_classes(cfg, dataset) if dataset else None
    counts = [number for _, number in head_class_numbers(cfg.model)]
    if names is not None and (not counts or counts[0] == len(names)):
        return list(names)
    return [str(index) for index in range(counts[0] if counts else 0)]


def compare(processor: Any, model: Any, files: list[Path], picture: Path) -> list[parity.Comparison]:
    """Compare PyTorch with every file on the picture and on random inputs.

    Args:
        processor: mmdeploy's task processor.
        model: The PyTorch model.
        files: The ``.onnx`` and perhaps the ``.xml``.
        picture: The picture's file; given an array, mmdeploy would change the config for good.
    """
    deploy_cfg = processor.deploy_cfg
    shape = deploy_cfg.onnx_config.get('input_shape')
    _, image = processor.create_input(str(picture), shape, data_preprocessor=model.data_preprocessor)
    generator = torch.Generator().manual_seed(0)
    inputs = {'image': image}
    for index in range(NUM_RANDOM):
        inputs[f'random {index}'] = torch.randn(image.shape, generator=generator)
    sides = {path: open_file(path, deploy_cfg) for path in files}
    comparisons = []
    for name, tensor in inputs.items():
        expected = run_torch(model, deploy_cfg, tensor)
        for path, run in sides.items():
            backend = 'openvino' if path.suffix == '.xml' else 'onnxruntime'
            fp16 = backend == 'openvino' and deploy_cfg.backend_config.get('compress_to_fp16', False)
            factor = parity.FP16_FACTOR if fp16 else 1.0
            for output, result in compare_outputs(model, deploy_cfg, expected, run(tensor), tensor.shape, factor):
                comparisons.append(parity.Comparison(name, backend, output, *result))
    return comparisons


def open_file(path: Path, deploy_cfg: Config) -> Callable[[Tensor], dict[str, np.ndarray]]:
    """Open an exported file; returns the function from ``(N, C, H, W)`` to its outputs by name."""
    name = deploy_cfg.onnx_config.input_names[0]
    names = list(deploy_cfg.onnx_config.output_names)
    if path.suffix == '.onnx':
        session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
        return lambda image: dict(zip(names, session.run(names, {name: image.numpy()}), strict=True))
    wrapper = OpenVINOWrapper(str(path), names, compile_options(deploy_cfg))
    return lambda image: {key: value.numpy() for key, value in wrapper({name: image}).items()}


@torch.no_grad()
def run_torch(model: Any, deploy_cfg: Config, image: Tensor) -> dict[str, np.ndarray]:
    """Run the PyTorch model as it predicts: on ``(N, C, H, W)``, with outputs as the exported file names them."""
    task = TASKS[deploy_cfg.codebase_config.type]
    size = tuple(image.shape[-2:])
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size, scale_factor=(1.0, 1.0), batch_input_shape=size)
    if task == 'detection' and not is_raw(deploy_cfg):
        from mmdet.structures import DetDataSample

        (sample,) = model.predict(image, [DetDataSample(metainfo=meta)], rescale=False)
        found = sample.pred_instances
        dets = torch.cat((found.bboxes, found.scores[:, None]), 1)
        return dict(dets=dets[None].numpy(), labels=found.labels[None].numpy())
    if task == 'detection':
        head = model.bbox_head
        if hasattr(head, 'get_scores_and_boxes'):
            scores, boxes = head.get_scores_and_boxes(model.extract_feat(image))
        else:
            from mmdet.structures import DetDataSample

            with RewriterContext(deploy_cfg, get_backend(deploy_cfg).value):
                scores, boxes = model(image, [DetDataSample(metainfo=meta)])
        return dict(scores=scores.numpy(), boxes=boxes.numpy())
    if task == 'segmentation' and argmax_first(deploy_cfg):
        return dict(output=classes_at_input_size(model, image).numpy())
    if task == 'segmentation':
        logits = model.encode_decode(image, [meta])
        if deploy_cfg.codebase_config.get('with_argmax', True):
            logits = logits.argmax(1, keepdim=True)
        return dict(output=logits.numpy())
    return dict(output=model(image, mode='tensor').softmax(1).numpy())


def compare_outputs(
    model: Any,
    deploy_cfg: Config,
    expected: dict[str, np.ndarray],
    actual: dict[str, np.ndarray],
    shape: tuple[int, ...],
    factor: float,
) -> list[tuple[str, tuple[bool, float, float, str]]]:
    """Compare the outputs of one input as their task asks for."""
    task = TASKS[deploy_cfg.codebase_config.type]
    if task == 'detection' and not is_raw(deploy_cfg):
        test_cfg = model.test_cfg.get('rcnn', model.test_cfg)
        found, other = (
            parity.Detections(outputs['dets'][0, :, :4], outputs['dets'][0, :, 4], outputs['labels'][0])
            for outputs in (expected, actual)
        )
        # A padded detection has the score 0.
        result = parity.compare_detections(found, other.above(0.0), test_cfg.score_thr, test_cfg.max_per_img, factor)
        return [('detections', result)]
    if task == 'detection':
        # As fractions of the input: a coordinate near 0 has the rounding of the large ones that it is computed from.
        size = np.array([shape[3], shape[2]] * 2, np.float32)
        boxes = parity.compare_arrays(expected['boxes'] / size, actual['boxes'] / size, factor)
        return [('scores', parity.compare_arrays(expected['scores'], actual['scores'], factor)), ('boxes', boxes)]
    if task == 'segmentation' and deploy_cfg.codebase_config.get('with_argmax', True):
        return [('classes', parity.compare_masks(expected['output'], actual['output']))]
    if task == 'segmentation':
        return [('logits', parity.compare_arrays(expected['output'], actual['output'], factor))]
    return [('probabilities', parity.compare_probabilities(expected['output'], actual['output'], factor))]


def draw(processor: Any, model: Any, file: Path, image: Path, folder: Path) -> None:
    """Draw the predictions of both sides on the picture, ``pytorch.jpg`` and ``exported.jpg``."""
    shape = processor.deploy_cfg.onnx_config.get('input_shape')
    backend = processor.build_backend_model([str(file)])
    picture = read_image(image)[..., ::-1]
    for name, side in (('pytorch', model), ('exported', backend)):
        data, _ = processor.create_input(str(image), shape)
        with torch.no_grad():
            (sample,) = side.test_step(data)
        # Not the processor's visualize, which leaves the pictures of mmseg in the current folder.
        visualizer = processor.get_visualizer(f'{name} of {folder}', str(folder))
        target = dict(out_file=str(folder / f'{name}.jpg'), draw_gt=False)
        if hasattr(visualizer, 'visualize_cls'):
            visualizer.visualize_cls(picture, sample, **target)
        else:
            visualizer.add_datasample(name, picture, sample.cpu(), **target)
