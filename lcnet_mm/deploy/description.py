"""``model.json``: everything that a runtime without mm needs to know about an exported model."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from torch import nn

from ..data.spec import ModelSpec, step_kind
from ..runtime.description import FORMAT
from ..runtime.preprocessing import INTERPOLATIONS
from ..utils.errors import UserError
from ..utils.files import sha256
from ..utils.images import READ_FLAGS
from ..version import __version__
from .rewriters import clips_boxes, is_binary

_COLOR_CHANNELS = 3
# What quantization adds to an export.
INT8_MODEL, INT8_REPORT = 'end2end_int8.xml', 'quantization.json'


def describe_preprocessing(spec: ModelSpec) -> dict[str, Any]:
    """Describe what happens to an image before the network.

    Args:
        spec: What the config says, at the size of a static export.

    Returns:
        ``steps`` (``resize``, ``resize_inside``, ``resize_edge``, ``center_crop`` and ``pad`` with their sizes as width
        and height), ``read`` (how files are read), ``channels``, ``color``, ``mean``, ``std``, ``pad_size_divisor`` and
        ``pad_value``, which pads normalized images.

    Raises:
        UserError: the test pipeline has a step that is not known here, or its images are not what the model takes.
    """
    read = _describe_reading(spec)
    steps: list[dict[str, Any]] = []
    for step in spec.pipeline:
        kind = step_kind(step)
        if kind == 'Resize' and step.get('scale'):
            size = _describe_size(step['scale'])
            steps.append(
                dict(type='resize', size=size, keep_ratio=bool(step.get('keep_ratio', False)), **_describe_kernel(step))
            )
        elif kind == 'ResizeInside':
            steps.append(dict(type='resize_inside', size=_describe_size(step['scale']), **_describe_kernel(step)))
        elif kind == 'ResizeEdge':
            edge = step.get('edge', 'short')
            steps.append(dict(type='resize_edge', size=step['scale'], edge=edge, **_describe_kernel(step)))
        elif kind == 'CenterCrop':
            if step.get('auto_pad') or step.get('efficientnet_style'):
                raise UserError(
                    'the test pipeline has a CenterCrop with auto_pad or efficientnet_style, which an exported model '
                    'cannot express; leave them out'
                )
            steps.append(dict(type='center_crop', size=_describe_size(step['crop_size'])))
        elif kind == 'Pad':
            steps.append(_describe_pad(step, spec))
        elif kind.startswith('Pack') or step is spec.pipeline[0]:
            continue
        else:
            raise UserError(
                f'the test pipeline has the step {step["type"]}, which the description of an exported model cannot '
                f'express; it knows Resize with a scale, ResizeEdge, CenterCrop and Pad with a size'
            )
    return dict(
        steps=steps,
        read=read,
        channels=spec.channels,
        color=spec.color if spec.channels == _COLOR_CHANNELS else 'GRAY',
        mean=list(spec.mean),
        std=list(spec.std),
        pad_size_divisor=spec.pad_size_divisor,
        pad_value=spec.pad_value,
    )


def _describe_size(size: Any) -> list[int]:
    """Return a width and a height from one or two numbers."""
    return [size, size] if isinstance(size, int) else list(size)


def _describe_reading(spec: ModelSpec) -> str:
    """Describe how the first step reads a file, and check that the model takes what it gives.

    Raises:
        UserError: the runtime cannot read files so, or the channels differ.
    """
    step = spec.pipeline[0]
    kind, read = step_kind(step), step.get('color_type', 'color')
    if kind != 'LoadImageFromFile':
        raise UserError(
            f'the test pipeline begins with {step["type"]}, and an exported model reads images with LoadImageFromFile '
            f'only: a model of other inputs cannot be exported'
        )
    if read not in READ_FLAGS or step.get('imdecode_backend') not in (None, 'cv2') or step.get('to_float32'):
        raise UserError(
            f'the test pipeline reads images with color_type {read!r}, imdecode_backend '
            f'{step.get("imdecode_backend")!r} and to_float32 {step.get("to_float32", False)}; an exported model can '
            f'read them with OpenCV as uint8 and color_type {", ".join(READ_FLAGS)} only'
        )
    channels = _COLOR_CHANNELS if read.startswith('color') else 1
    if spec.channels != channels:
        raise UserError(
            f'the model takes {spec.channels} channels, and the test pipeline reads {channels} (color_type {read!r}); '
            f'a model of {spec.channels} channels '
            + ('needs color_type grayscale' if spec.channels == 1 else 'cannot be exported, only one of 1 or 3')
        )
    for name, values in (('mean', spec.mean), ('std', spec.std)):
        if len(values) not in (1, channels):
            raise UserError(f'the data_preprocessor has {len(values)} numbers in {name}, the model {channels} channels')
    return str(read)


def _describe_pad(step: ConfigDict, spec: ModelSpec) -> dict[str, Any]:
    """Describe a padding to a size.

    Raises:
        UserError: the runtime cannot pad so.
    """
    if not step.get('size') or step.get('padding_mode', 'constant') != 'constant':
        raise UserError(
            'the test pipeline has a Pad without a size, or not with a constant, which an exported model cannot '
            'express; give it a size, or set pad_size_divisor of the data_preprocessor'
        )
    value = step.get('pad_val', 0)
    value = value.get('img', 0) if isinstance(value, dict) else value
    values = list(value) if isinstance(value, list | tuple) else [value] * spec.channels
    return dict(type='pad', size=_describe_size(step['size']), value=values)


def _describe_kernel(step: ConfigDict) -> dict[str, str]:
    """Describe the kernel of a resize and the library that computes it."""
    backend, interpolation = step.get('backend') or 'cv2', step.get('interpolation', 'bilinear')
    if interpolation not in INTERPOLATIONS.get(backend, ()):
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
        if deploy_cfg.codebase_config.get('with_argmax', True):
            return dict(form='argmax'), dict(output='(N, 1, H, W) class indices')
        if is_binary(model):
            threshold = float(model.decode_head.threshold)  # type: ignore[union-attr, arg-type]  # mmseg's heads have it
            outputs = dict(form='sigmoid', threshold=threshold)
            return outputs, dict(output='(N, 1, H, W) logits of class 1, which is where the sigmoid is above threshold')
        return dict(form='logits'), dict(output='(N, classes, H, W) logits')
    return dict(form='softmax'), dict(output='(N, classes) probabilities')
