"""Running PyTorch and the exported files on the same inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from mmdeploy.core import RewriterContext
from mmdeploy.utils import get_backend
from mmengine.config import Config
from torch import Tensor

from ..data.spec import ModelSpec
from . import parity
from .backend import OpenVINOWrapper, compile_options, conversion_options
from .inputs import load_input
from .rewriters import argmax_first, argmax_stride, classes_at_input_size, is_binary, is_raw

NUM_RANDOM = 2


def compare(processor: Any, spec: ModelSpec, model: Any, files: list[Path], image: Path) -> list[parity.Comparison]:
    """Compare PyTorch with every file on the image and on random inputs.

    Args:
        processor: mmdeploy's task processor.
        spec: What the config says.
        model: The PyTorch model.
        files: The ``.onnx``, and the ``.xml`` if there is one.
        image: The image's file.
    """
    deploy_cfg = processor.deploy_cfg
    _, tensor = load_input(processor, image, model.data_preprocessor)
    generator = torch.Generator().manual_seed(0)
    inputs = {'image': tensor}
    for index in range(NUM_RANDOM):
        inputs[f'random {index}'] = torch.randn(tensor.shape, generator=generator)
    sides = {path: open_file(path, deploy_cfg) for path in files}
    comparisons = []
    for name, tensor in inputs.items():
        expected = run_torch(model, spec, deploy_cfg, tensor)
        for path, run in sides.items():
            backend = 'openvino' if path.suffix == '.xml' else 'onnxruntime'
            fp16 = backend == 'openvino' and conversion_options(deploy_cfg).compress_to_fp16
            factor = parity.FP16_FACTOR if fp16 else 1.0
            found = compare_outputs(model, spec, deploy_cfg, expected, run(tensor), tuple(tensor.shape), factor)
            comparisons += [parity.Comparison(name, backend, output, *result) for output, result in found]
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
def run_torch(model: Any, spec: ModelSpec, deploy_cfg: Config, image: Tensor) -> dict[str, np.ndarray]:
    """Run the PyTorch model as it predicts, on ``(N, C, H, W)``.

    Returns:
        The outputs by the names that they have in the exported file.
    """
    size = tuple(image.shape[-2:])
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size, scale_factor=(1.0, 1.0), batch_input_shape=size)
    if spec.task == 'detection':
        return _run_detector(model, deploy_cfg, image, meta)
    if spec.task == 'classification':
        return dict(output=model(image, mode='tensor').softmax(1).numpy())
    if argmax_first(deploy_cfg):
        return dict(output=classes_at_input_size(model, image, argmax_stride(deploy_cfg)).numpy())
    logits = model.encode_decode(image, [meta])
    if deploy_cfg.codebase_config.get('with_argmax', True):
        logits = (
            (logits.sigmoid() > model.decode_head.threshold) if is_binary(model) else logits.argmax(1, keepdim=True)
        )
    return dict(output=logits.numpy())


def _run_detector(model: Any, deploy_cfg: Config, image: Tensor, meta: dict[str, Any]) -> dict[str, np.ndarray]:
    """Run a detector to its detections, or in the raw form to all scores and boxes."""
    from mmdet.structures import DetDataSample

    samples = [DetDataSample(metainfo=meta)]
    if not is_raw(deploy_cfg):
        (sample,) = model.predict(image, samples, rescale=False)
        found = sample.pred_instances
        dets = torch.cat((found.bboxes, found.scores[:, None]), 1)
        return dict(dets=dets[None].numpy(), labels=found.labels[None].numpy())
    head = model.bbox_head
    if hasattr(head, 'get_scores_and_boxes'):
        scores, boxes = head.get_scores_and_boxes(model.extract_feat(image))
    else:
        # Other heads have no raw form of their own, so the rewritten model is the reference.
        with RewriterContext(deploy_cfg, get_backend(deploy_cfg).value):  # type: ignore[arg-type]  # takes a Config
            scores, boxes = model(image, samples)
    return dict(scores=scores.numpy(), boxes=boxes.numpy())


def compare_outputs(
    model: Any,
    spec: ModelSpec,
    deploy_cfg: Config,
    expected: dict[str, np.ndarray],
    actual: dict[str, np.ndarray],
    shape: tuple[int, ...],
    factor: float,
) -> list[tuple[str, parity.Result]]:
    """Compare the outputs of one input as their task asks for.

    Args:
        model: The PyTorch model, for the thresholds of a detector.
        spec: What its config says.
        deploy_cfg: The deploy config.
        expected: Outputs of PyTorch by name.
        actual: Outputs of the exported file by name.
        shape: Of the input, ``(N, C, H, W)``.
        factor: By which the tolerances are wider.
    """
    if spec.task == 'detection' and not is_raw(deploy_cfg):
        test_cfg = model.test_cfg.get('rcnn', model.test_cfg)
        found, other = (
            parity.Detections(outputs['dets'][0, :, :4], outputs['dets'][0, :, 4], outputs['labels'][0])
            for outputs in (expected, actual)
        )
        # A padded detection has the score 0.
        result = parity.compare_detections(found, other.above(0.0), test_cfg.score_thr, test_cfg.max_per_img, factor)
        return [('detections', result)]
    if spec.task == 'detection':
        # As fractions of the input: a coordinate near 0 has the rounding of the large ones that it is computed from.
        size = np.array([shape[3], shape[2]] * 2, np.float32)
        boxes = parity.compare_arrays(expected['boxes'] / size, actual['boxes'] / size, factor)
        return [('scores', parity.compare_arrays(expected['scores'], actual['scores'], factor)), ('boxes', boxes)]
    if spec.task == 'segmentation' and deploy_cfg.codebase_config.get('with_argmax', True):
        return [('classes', parity.compare_masks(expected['output'], actual['output']))]
    if spec.task == 'segmentation':
        return [('logits', parity.compare_arrays(expected['output'], actual['output'], factor))]
    return [('probabilities', parity.compare_probabilities(expected['output'], actual['output'], factor))]
