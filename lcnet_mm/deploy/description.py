"""``model.json``: all that a runtime without mm needs to know of an exported model."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from ..utils.errors import UserError
from ..utils.files import sha256
from ..version import __version__
from .rewriters import clips_boxes

TASKS = {'mmdet': 'detection', 'mmseg': 'segmentation', 'mmpretrain': 'classification'}
FORMAT = 1
# What tools/deploy.py --int8 adds to an export.
INT8_MODEL, INT8_REPORT = 'end2end_int8.xml', 'quantization.json'
# mmcv's names of OpenCV's kernels that the runtime knows.
INTERPOLATIONS = ('nearest', 'bilinear', 'bicubic', 'area', 'lanczos')


def describe_preprocessing(cfg: Config, input_shape: tuple[int, int] | None) -> dict[str, Any]:
    """What happens to a picture before the network.

    Args:
        cfg: The model's config.
        input_shape: Width and height of a static model, to which every picture is resized.

    Returns:
        ``steps`` (``resize``, ``resize_edge`` and ``center_crop`` with their sizes as width and height), ``color``,
        ``mean`` and ``std``.

    Raises:
        UserError: the test pipeline has a step that is not known here.
    """
    steps: list[dict[str, Any]] = []
    for step in cfg.test_pipeline:
        kind = step['type'].split('.')[-1]
        kernel = step.get('interpolation', 'bilinear')
        if kind == 'Resize':
            keep_ratio = bool(step.get('keep_ratio', False)) and input_shape is None
            size = input_shape or step['scale']
            steps.append(dict(type='resize', size=list(size), keep_ratio=keep_ratio, interpolation=kernel))
        elif kind == 'ResizeEdge':
            steps.append(dict(type='resize_edge', size=step['scale'], interpolation=kernel))
        elif kind == 'CenterCrop':
            size = step['crop_size']
            steps.append(dict(type='center_crop', size=[size, size] if isinstance(size, int) else list(size)[::-1]))
        elif kind == 'Pad' and input_shape is not None:
            # mmdeploy resizes to the static shape without keeping the aspect, so nothing is left to pad.
            continue
        elif kind.startswith(('Load', 'Pack')):
            continue
        else:
            raise UserError(f'test_pipeline has the step {step["type"]}, which an exported model cannot describe')
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    rgb = preprocessor.get('bgr_to_rgb', preprocessor.get('to_rgb', False))
    return dict(
        steps=steps,
        color='RGB' if rgb else 'BGR',
        mean=list(preprocessor.get('mean') or [0.0, 0.0, 0.0]),
        std=list(preprocessor.get('std') or [1.0, 1.0, 1.0]),
        pad_size_divisor=preprocessor.get('pad_size_divisor', 1) if input_shape is None else 1,
        pad_value=preprocessor.get('pad_value', 0),
    )


def describe_model(
    model: nn.Module,
    cfg: Config,
    deploy_cfg: Config,
    meta: dict[str, Any],
    *,
    model_file: str,
    config: str,
    checkpoint: str | Path,
) -> dict[str, Any]:
    """Make the content of ``model.json``.

    Args:
        model: The model itself.
        cfg: Its config.
        deploy_cfg: The deploy config.
        meta: ``classes``, their names in the order of the labels, and ``palette``, their RGB colours or None.
        model_file: Name of the ``.xml`` or ``.onnx`` file beside it.
        config: The model's config file, as it was given.
        checkpoint: The checkpoint.
    """
    task = TASKS[deploy_cfg.codebase_config.type]
    shape = deploy_cfg.onnx_config.get('input_shape')
    outputs: dict[str, Any]
    if task == 'detection':
        test_cfg = cfg.model.get('test_cfg') or {}
        test_cfg = test_cfg.get('rcnn') or test_cfg
        outputs = dict(
            form=deploy_cfg.codebase_config.get('model_type', 'end2end'),
            score_threshold=test_cfg.get('score_thr', 0.05),
            iou_threshold=test_cfg.get('nms', {}).get('iou_threshold', 0.5),
            max_per_image=test_cfg.get('max_per_img', 100),
            clip=clips_boxes(getattr(model, 'bbox_head', None)),
        )
        meaning = dict(
            dets='(N, K, 5) boxes xyxy in input pixels and their scores, padded with scores 0',
            labels='(N, K) class indices',
            scores='(N, P, classes) before NMS',
            boxes='(N, P, 4) xyxy in input pixels before NMS',
        )
    elif task == 'segmentation':
        argmax = deploy_cfg.codebase_config.get('with_argmax', True)
        outputs = dict(form='argmax' if argmax else 'logits')
        meaning = dict(output='(N, 1, H, W) class indices' if argmax else '(N, classes, H, W) logits')
    else:
        outputs = dict(form='softmax')
        meaning = dict(output='(N, classes) probabilities')
    names = deploy_cfg.onnx_config.output_names
    return dict(
        format=FORMAT,
        task=task,
        model=model_file,
        classes=list(map(str, meta['classes'])),
        palette=[list(map(int, color)) for color in meta['palette']] if meta.get('palette') else None,
        input=dict(
            name=deploy_cfg.onnx_config.input_names[0],
            size=list(shape) if shape else None,
            **describe_preprocessing(cfg, tuple(shape) if shape else None),
        ),
        output=dict(outputs, names=list(names), meaning={name: meaning[name] for name in names}),
        compile_options=dict(deploy_cfg.backend_config.get('compile_options', {})),
        source=dict(config=config, checkpoint=str(checkpoint), checkpoint_sha256=sha256(checkpoint)),
        versions={
            'lcnet-mm': __version__,
            **{name: version(name) for name in ('torch', 'mmdeploy', 'onnx', 'openvino')},
        },
    )
