"""``model.json``: everything that a runtime without mm needs to know about an exported model."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from torch import nn

from ..data.spec import ModelSpec, step_kind
from ..utils.errors import UserError
from ..utils.files import sha256
from ..version import __version__
from .rewriters import clips_boxes

FORMAT = 1
# What quantization adds to an export.
INT8_MODEL, INT8_REPORT = 'end2end_int8.xml', 'quantization.json'
# Resizes that the runtime knows: mmcv's names of the kernels of its two backends.
_KERNELS = {
    'cv2': ('nearest', 'bilinear', 'bicubic', 'area', 'lanczos'),
    'pillow': ('nearest', 'bilinear', 'bicubic', 'box', 'lanczos', 'hamming'),
}


def describe_preprocessing(spec: ModelSpec) -> dict[str, Any]:
    """Describe what happens to an image before the network.

    Args:
        spec: What the config says, at the size of a static export.

    Returns:
        ``steps`` (``resize``, ``resize_edge`` and ``center_crop`` with their sizes as width and height), ``color``,
        ``mean``, ``std``, ``pad_size_divisor`` and ``pad_value``.

    Raises:
        UserError: the test pipeline has a step that is not known here.
    """
    steps: list[dict[str, Any]] = []
    for step in spec.pipeline:
        kind = step_kind(step)
        if kind == 'Resize' and step.get('scale'):
            scale = step['scale']
            size = [scale, scale] if isinstance(scale, int) else list(scale)
            steps.append(
                dict(type='resize', size=size, keep_ratio=bool(step.get('keep_ratio', False)), **_describe_kernel(step))
            )
        elif kind == 'ResizeEdge':
            edge = step.get('edge', 'short')
            steps.append(dict(type='resize_edge', size=step['scale'], edge=edge, **_describe_kernel(step)))
        elif kind == 'CenterCrop':
            size = step['crop_size']
            steps.append(dict(type='center_crop', size=[size, size] if isinstance(size, int) else list(size)))
        elif kind == 'Pad' and spec.is_static:
            # A static resize does not keep the aspect ratio, so nothing is left to pad.
            continue
        elif kind.startswith(('Load', 'Pack')):
            continue
        else:
            raise UserError(
                f'the test pipeline has the step {step["type"]}, which the description of an exported model cannot '
                f'express; it knows Resize with a scale, ResizeEdge and CenterCrop'
            )
    return dict(
        steps=steps,
        color=spec.color,
        mean=list(spec.mean),
        std=list(spec.std),
        pad_size_divisor=spec.pad_size_divisor,
        pad_value=spec.pad_value,
    )


def _describe_kernel(step: ConfigDict) -> dict[str, str]:
    """Describe the kernel of a resize and the library that computes it."""
    backend, interpolation = step.get('backend') or 'cv2', step.get('interpolation', 'bilinear')
    if interpolation not in _KERNELS.get(backend, ()):
        raise UserError(
            f'the test pipeline resizes with interpolation {interpolation!r} of backend {backend!r}, which an exported '
            f'model cannot express'
        )
    return dict(interpolation=interpolation, backend=backend)


def describe_model(
    model: nn.Module,
    spec: ModelSpec,
    cfg: Config,
    deploy_cfg: Config,
    *,
    model_file: str,
    config: str,
    checkpoint: str | Path,
) -> dict[str, Any]:
    """Make the content of ``model.json``.

    Args:
        model: The model itself.
        spec: What its config says, at the size of a static export.
        cfg: The config, for the thresholds of a detector.
        deploy_cfg: The deploy config.
        model_file: Name of the ``.xml`` or ``.onnx`` file in the same folder.
        config: The model's config file, as it was given.
        checkpoint: The checkpoint.
    """
    shape = deploy_cfg.onnx_config.get('input_shape')
    names = list(deploy_cfg.onnx_config.output_names)
    outputs, meaning = _describe_outputs(model, spec, cfg, deploy_cfg)
    return dict(
        format=FORMAT,
        task=spec.task,
        model=model_file,
        classes=list(spec.classes),
        palette=[list(color) for color in spec.palette] if spec.palette else None,
        input=dict(
            name=deploy_cfg.onnx_config.input_names[0],
            size=list(shape) if shape else None,
            **describe_preprocessing(spec),
        ),
        output=dict(outputs, names=names, meaning={name: meaning[name] for name in names}),
        compile_options=dict(deploy_cfg.backend_config.get('compile_options', {})),
        source=dict(config=config, checkpoint=str(checkpoint), checkpoint_sha256=sha256(checkpoint)),
        versions={
            'lcnet-mm': __version__,
            **{name: version(name) for name in ('torch', 'mmdeploy', 'onnx', 'openvino')},
        },
    )


def _describe_outputs(
    model: nn.Module, spec: ModelSpec, cfg: Config, deploy_cfg: Config
) -> tuple[dict[str, Any], dict[str, str]]:
    """Describe the form of the outputs, and in words what each one can be."""
    if spec.task == 'detection':
        test_cfg = cfg.model.get('test_cfg') or {}
        test_cfg = test_cfg.get('rcnn') or test_cfg
        outputs = dict(
            form=deploy_cfg.codebase_config.get('model_type', 'end2end'),
            score_threshold=test_cfg.get('score_thr', 0.05),
            iou_threshold=test_cfg.get('nms', {}).get('iou_threshold', 0.5),
            max_per_image=test_cfg.get('max_per_img', 100),
            clip=clips_boxes(getattr(model, 'bbox_head', None)),
        )
        return outputs, dict(
            dets='(N, K, 5) boxes xyxy in input pixels and their scores, padded with scores 0',
            labels='(N, K) class indices',
            scores='(N, P, classes) before NMS',
            boxes='(N, P, 4) xyxy in input pixels before NMS',
        )
    if spec.task == 'segmentation':
        argmax = deploy_cfg.codebase_config.get('with_argmax', True)
        meaning = '(N, 1, H, W) class indices' if argmax else '(N, classes, H, W) logits'
        return dict(form='argmax' if argmax else 'logits'), dict(output=meaning)
    return dict(form='softmax'), dict(output='(N, classes) probabilities')
