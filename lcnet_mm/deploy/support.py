"""What cannot be exported faithfully, refused by name before the work."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from ..data.spec import ModelSpec, step_kind, test_pipeline
from ..utils.errors import UserError


def check_support(model: Any, spec: ModelSpec, cfg: Config) -> None:
    """Check that an exported model can predict as the config's test does.

    Args:
        model: The PyTorch model.
        spec: What its config says.
        cfg: The config.

    Raises:
        UserError: it cannot; the message names the setting.
    """
    test_cfg = cfg.model.get('test_cfg') or {}
    if spec.task == 'detection':
        _check_detector(test_cfg)
    elif spec.task == 'segmentation':
        _check_segmentor(model, test_cfg, cfg)
    else:
        _check_classifier(model)


def _check_detector(test_cfg: Any) -> None:
    """Check the selection of detections: the export has NMS by class, with an IoU threshold."""
    test_cfg = test_cfg.get('rcnn') or test_cfg
    nms = test_cfg.get('nms') or {}
    kind = nms.get('type', 'nms')
    if kind not in ('nms', 'nms_op'):
        raise UserError(f"model.test_cfg.nms.type={kind!r} cannot be exported, only 'nms'; evaluate and export with it")
    if nms.get('class_agnostic'):
        raise UserError('model.test_cfg.nms.class_agnostic=True cannot be exported, only NMS by class; set it to False')
    if test_cfg.get('min_bbox_size', 0) > 0:
        raise UserError(
            f'model.test_cfg.min_bbox_size={test_cfg["min_bbox_size"]} cannot be exported; set it to 0, and leave out '
            f'small boxes after prediction'
        )


def _check_segmentor(model: Any, test_cfg: Any, cfg: Config) -> None:
    """Check how the map comes about: the export sees the whole image once."""
    mode = test_cfg.get('mode', 'whole')
    if mode != 'whole':
        raise UserError(
            f'model.test_cfg.mode={mode!r} cannot be exported, an exported segmentor sees the whole image at once; set '
            f"mode='whole', and test with it"
        )
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    padding = preprocessor.get('test_cfg') or {}
    if padding.get('size') or padding.get('size_divisor', 1) > 1:
        raise UserError(
            'data_preprocessor.test_cfg pads the images of a test, which an exported segmentor does not; leave it out'
        )
    if any(step_kind(step) == 'Pad' for step in test_pipeline(cfg)):
        raise UserError(
            'the test pipeline of the segmentor has a Pad; mmseg stretches the padded map over the image, which an '
            'exported model does not; leave it out, an export of static shape pads by itself'
        )
    if not hasattr(model, 'decode_head'):
        raise UserError(f'a {type(model).__name__} cannot be exported, only a segmentor with one decode_head')


def _check_classifier(model: Any) -> None:
    """Check the outputs: probabilities of classes that exclude each other."""
    from mmpretrain.models.heads import MultiLabelClsHead, MultiTaskHead

    head = getattr(model, 'head', None)
    if isinstance(head, MultiLabelClsHead | MultiTaskHead):
        raise UserError(
            f'a classifier with {type(head).__name__} cannot be exported yet, only one whose classes exclude each other'
        )
