"""How models change on their way to ONNX: prediction without Python control flow, and a form without NMS.

``codebase_config.model_type='raw'`` exports any single-stage detector as scores ``(N, P, classes)`` and boxes
``(N, P, 4)`` xyxy in input pixels; mmdeploy's own ``build_backend_model`` then does the NMS outside the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, TypeVar, cast

import mmdeploy.codebase.mmdet.deploy.object_detection_model as detection_models
import mmdeploy.codebase.mmdet.models
import mmdeploy.codebase.mmpretrain.models
import mmdeploy.codebase.mmseg.models  # noqa: F401
import mmdeploy.core.rewriters.function_rewriter as function_rewriter
import torch
from mmcv.ops import batched_nms
from mmdeploy.codebase.mmdet.deploy import get_post_processing_params
from mmdeploy.codebase.mmdet.models.dense_heads.rtmdet_head import rtmdet_head__predict_by_feat
from mmdeploy.core import FUNCTION_REWRITER
from mmdeploy.mmcv.ops import multiclass_nms
from mmdeploy.utils import get_codebase_config, is_dynamic_shape
from mmdet.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn import functional

from ..detection.heads.base import PicoDetBaseHead
from ..detection.structures import Points
from ..utils.errors import UserError

# torch made its list of functions wrapped for fx a dict, from which mmdeploy pops the last one. It falls back to a list
# of its own where torch has none; the export through the tracer needs neither.
if not isinstance(function_rewriter._wrapped_fns_to_patch, list):
    function_rewriter._wrapped_fns_to_patch = []  # type: ignore[assignment]  # mmdeploy is written for a list

# mmdeploy keeps its registry of backend detectors under a private name of the module.
_BACKEND_DETECTORS = vars(detection_models)['__BACKEND_MODEL']

_Function = TypeVar('_Function', bound=Callable[..., Any])


def _rewrites(name: str, backend: str = 'default') -> Callable[[_Function], _Function]:
    """Register a function that takes the place of another one while a model is exported for a backend."""
    return cast('Callable[[_Function], _Function]', FUNCTION_REWRITER.register_rewriter(name, backend=backend))


def is_raw(deploy_cfg: Any) -> bool:
    """Return whether the deploy config asks for scores and boxes without NMS."""
    return bool(get_codebase_config(deploy_cfg).get('model_type') == 'raw')


def clips_boxes(head: Any) -> bool:
    """Return whether a head, or its class, clips boxes to the image before NMS; mmdet's own do."""
    return bool(getattr(head, 'clip_border', True))


@_rewrites('lcnet_mm.detection.heads.base.PicoDetBaseHead.get_points')
def picodet_head__get_points(self: PicoDetBaseHead, maps: Sequence[Tensor]) -> Points:
    """Return the points of a static input as constants, not as a subgraph of shapes."""
    ctx: Any = FUNCTION_REWRITER.get_context()
    points: Points = ctx.origin_func(self, maps)
    if is_dynamic_shape(ctx.cfg):
        return points
    return Points(points.centers.data, points.strides.data, points.level_sizes)


@_rewrites('lcnet_mm.detection.heads.base.PicoDetBaseHead.predict_by_feat')
def picodet_head__predict_by_feat(
    self: PicoDetBaseHead,
    *outputs: Sequence[Tensor],
    batch_img_metas: list[dict[str, Any]] | None = None,
    cfg: Any = None,
    rescale: bool = False,
    with_nms: bool = True,
) -> tuple[Tensor, Tensor]:
    """Predict a batch in tensors.

    Returns:
        ``dets`` ``(N, K, 5)`` and ``labels`` ``(N, K)``; without NMS boxes ``(N, P, 4)`` and scores
        ``(N, P, classes)``, as mmdeploy's own rewriters do.
    """
    ctx: Any = FUNCTION_REWRITER.get_context()
    scores, boxes = self.scores_and_boxes_by_feat(*outputs)
    if not with_nms:
        return boxes, scores
    cfg = self.test_cfg if cfg is None else cfg
    if not is_dynamic_shape(ctx.cfg):
        sizes = [int(level.shape[-2]) * int(level.shape[-1]) for level in outputs[0]]
        scores, boxes = keep_best_points(scores, boxes, sizes, cfg.get('nms_pre', -1))
    if self.clip_border:
        assert batch_img_metas is not None
        boxes = _clip(boxes, batch_img_metas[0]['img_shape'])
    return _select(boxes, scores, cfg, ctx.cfg)


# For each backend: among rewriters for all of them mmdeploy takes the one that was registered first, its own.
@_rewrites('mmdet.models.dense_heads.rtmdet_head.RTMDetHead.predict_by_feat', backend='openvino')
@_rewrites('mmdet.models.dense_heads.rtmdet_head.RTMDetHead.predict_by_feat', backend='onnxruntime')
def rtmdet_head__predict_clipped(
    self: Any,
    cls_scores: list[Tensor],
    bbox_preds: list[Tensor],
    batch_img_metas: list[dict[str, Any]] | None = None,
    cfg: Any = None,
    rescale: bool = False,
    with_nms: bool = True,
) -> tuple[Tensor, Tensor]:
    """Predict as RTMDet does in PyTorch: mmdeploy does not clip its boxes to the image before NMS.

    Returns:
        As :func:`picodet_head__predict_by_feat`.
    """
    ctx: Any = FUNCTION_REWRITER.get_context()
    boxes, scores = rtmdet_head__predict_by_feat(self, cls_scores, bbox_preds, with_nms=False)
    if not with_nms:
        return boxes, scores
    assert batch_img_metas is not None
    boxes = _clip(boxes, batch_img_metas[0]['img_shape'])
    return _select(boxes, scores, self.test_cfg if cfg is None else cfg, ctx.cfg)


def _clip(boxes: Tensor, shape: Sequence[Any]) -> Tensor:
    """Clip boxes ``(N, P, 4)`` to an image of height and width ``shape``."""
    height, width = shape[:2]
    limits = torch.stack([torch.as_tensor(side, dtype=boxes.dtype) for side in (width, height, width, height)])
    return torch.minimum(boxes.clamp(min=0), limits)


def _select(boxes: Tensor, scores: Tensor, cfg: Any, deploy_cfg: Any) -> tuple[Tensor, Tensor]:
    """Run NMS by class with the thresholds of ``test_cfg``, or where it is silent those of the deploy config."""
    params = get_post_processing_params(deploy_cfg)
    keep = cfg.get('max_per_img', params.keep_top_k)
    dets, labels = multiclass_nms(
        boxes,
        scores,
        # No class can have more than all classes together.
        keep,
        nms_type='nms',
        iou_threshold=cfg.nms.get('iou_threshold', params.iou_threshold),
        score_threshold=cfg.get('score_thr', params.score_threshold),
        pre_top_k=params.get('pre_top_k', -1),
        keep_top_k=keep,
    )
    return dets, labels


def keep_best_points(scores: Tensor, boxes: Tensor, level_sizes: Sequence[int], count: int) -> tuple[Tensor, Tensor]:
    """Keep the ``count`` best points of each level that has more, as prediction in PyTorch does."""
    if not any(0 < count < size for size in level_sizes):
        return scores, boxes
    kept_scores, kept_boxes = [], []
    for level_scores, level_boxes in zip(
        scores.split(list(level_sizes), 1), boxes.split(list(level_sizes), 1), strict=True
    ):
        if level_scores.shape[1] > count:
            index = level_scores.amax(2).topk(count, dim=1).indices.unsqueeze(2)
            level_scores = level_scores.gather(1, index.expand(-1, -1, level_scores.shape[2]))
            level_boxes = level_boxes.gather(1, index.expand(-1, -1, 4))
        kept_scores.append(level_scores)
        kept_boxes.append(level_boxes)
    return torch.cat(kept_scores, 1), torch.cat(kept_boxes, 1)


@_rewrites('mmdet.models.dense_heads.base_dense_head.BaseDenseHead.predict')
def base_dense_head__predict(self: Any, x: tuple[Tensor, ...], batch_data_samples: Any, rescale: bool = False) -> Any:
    """Predict with any dense head, in the raw form without selection and NMS."""
    ctx: Any = FUNCTION_REWRITER.get_context()
    raw = is_raw(ctx.cfg)
    cfg = self.test_cfg
    options: dict[str, Any] = {}
    if raw:
        # The rewriters of mmdeploy read their top-k from here.
        self.test_cfg = copy(cfg)
        self.test_cfg['nms_pre'] = -1
        options = dict(with_nms=False)
    try:
        metas = [sample.metainfo for sample in batch_data_samples]
        result = self.predict_by_feat(*self(x), batch_img_metas=metas, rescale=rescale, **options)
    finally:
        self.test_cfg = cfg
    if raw:
        boxes, scores = result[:2]
        return scores, boxes
    return result


def argmax_first(deploy_cfg: Any) -> bool:
    """Return whether the deploy config asks for a segmentor that decides the classes before the last resize."""
    return argmax_stride(deploy_cfg) != 1


def argmax_stride(deploy_cfg: Any) -> int | None:
    """Return the stride at which a segmentor decides the classes: 1 is the input's size, None the head's own.

    Raises:
        UserError: ``argmax_stride`` is no positive integer, or the deploy config has ``argmax_first`` as well.
    """
    settings = get_codebase_config(deploy_cfg)
    stride = settings.get('argmax_stride')
    if stride is not None and (isinstance(stride, bool) or not isinstance(stride, int) or stride < 1):
        raise UserError(f'codebase_config.argmax_stride must be a positive integer, got {stride!r}')
    if stride is not None and settings.get('argmax_first', False):
        raise UserError('codebase_config has both argmax_first and argmax_stride; leave one out')
    if not settings.get('with_argmax', True):
        return 1
    return None if settings.get('argmax_first', False) else stride or 1


def classes_at_input_size(model: Any, inputs: Tensor, stride: int | None = None) -> Tensor:
    """Return class indices ``(N, 1, H, W)`` of images ``(N, C, H, W)``, decided at a lower resolution.

    One map of indices is enlarged, with the nearest neighbor, instead of as many maps as there are classes.

    Args:
        model: The segmentor.
        inputs: The images.
        stride: The logits are resized to the input's size divided by this before the classes are decided; None decides
            at the head's own resolution.
    """
    logits = model.decode_head.forward(model.extract_feat(inputs))
    if stride is not None:
        size = [-(-int(side) // stride) for side in inputs.shape[2:]]
        if size != [int(side) for side in logits.shape[2:]]:
            logits = functional.interpolate(logits, size, mode='bilinear', align_corners=model.align_corners)
    classes = decide_classes(model, logits)
    # ONNX cannot resize integers.
    enlarged: Tensor = functional.interpolate(classes.to(inputs.dtype), size=inputs.shape[2:], mode='nearest')
    return enlarged.to(torch.long)


def is_binary(model: Any) -> bool:
    """Return whether a segmentor has one output, which a threshold turns into two classes."""
    return bool(getattr(model, 'out_channels', None) == 1)


def decide_classes(model: Any, logits: Tensor) -> Tensor:
    """Return class indices ``(N, 1, H, W)`` of logits ``(N, C, H, W)``, as mmseg's ``postprocess_result`` does."""
    if is_binary(model):
        above: Tensor = logits.sigmoid() > model.decode_head.threshold
        return above.to(torch.long)
    return first_argmax(logits)


def first_argmax(logits: Tensor) -> Tensor:
    """Return ``logits.argmax(1, keepdim=True)`` of ``(N, classes, H, W)`` from ops that run fast on CPUs.

    OpenVINO turns an argmax into a search for the top k, which took a third of a light segmentor's time. Comparing with
    the maximum gives the same index, the first one where several are equal.
    """
    count = logits.shape[1]
    descending = torch.arange(count, 0, -1, dtype=logits.dtype).reshape(1, count, 1, 1)
    is_best = (logits >= logits.amax(1, keepdim=True)).to(logits.dtype)
    index: Tensor = count - (is_best * descending).amax(1, keepdim=True)
    return index.to(torch.long)


# For each backend, as above.
@_rewrites('mmseg.models.segmentors.BaseSegmentor.forward', backend='openvino')
@_rewrites('mmseg.models.segmentors.BaseSegmentor.forward', backend='onnxruntime')
def base_segmentor__forward(self: Any, inputs: Tensor, data_samples: Any = None, **kwargs: Any) -> Tensor:
    """Predict with one resize of the logits to the input, or with one of the classes; see :func:`argmax_first`."""
    ctx: Any = FUNCTION_REWRITER.get_context()
    deploy_cfg = ctx.cfg
    if argmax_first(deploy_cfg):
        return classes_at_input_size(self, inputs, argmax_stride(deploy_cfg))
    shape = inputs.shape[2:] if is_dynamic_shape(deploy_cfg) else [int(side) for side in inputs.shape[2:]]
    logits: Tensor = self.predict(inputs, [SegDataSample(metainfo=dict(img_shape=shape))])
    return decide_classes(self, logits) if get_codebase_config(deploy_cfg).get('with_argmax', True) else logits


@_rewrites('mmdet.models.layers.se_layer.ChannelAttention.forward')
def channel_attention__forward(self: Any, x: Tensor) -> Tensor:
    """Compute RTMDet's attention without its autocast block, which today's tracer cannot turn into ONNX."""
    attended: Tensor = x * self.act(self.fc(self.global_avgpool(x)))
    return attended


@_rewrites('torch._C._jit_pass_onnx_autograd_function_process', backend='openvino')
@_rewrites('torch._C._jit_pass_onnx_autograd_function_process', backend='onnxruntime')
def autograd_function_process__enable(graph: Any) -> Any:
    """Run the pass that mmdeploy leaves out; without it today's torch cannot convert mmdeploy's marks, as in RTMDet."""
    ctx: Any = FUNCTION_REWRITER.get_context()
    return ctx.origin_func(graph)


@_rewrites('mmdeploy.mmcv.ops.nms.ONNXNMSop.forward')
def onnx_nms__forward(
    ctx: Any,
    boxes: Tensor,
    scores: Tensor,
    max_output_boxes_per_class: int,
    iou_threshold: float,
    score_threshold: float,
) -> Tensor:
    """Return as many indices as NMS may select, without selecting: mmcv's NMS confuses today's tracer.

    The exported node is NonMaxSuppression all the same, and the values of a trace are not used.
    """
    batch, num_classes, num_boxes = scores.shape
    count = int(batch) * int(num_classes) * min(int(num_boxes), int(max_output_boxes_per_class))
    return torch.zeros(count, 3, dtype=torch.long, device=boxes.device)


@_BACKEND_DETECTORS.register_module('raw')
class RawDetector(detection_models.End2EndModel):
    """mmdeploy's backend model for the raw form: the NMS of the model's ``test_cfg`` follows the graph."""

    def predict(self, imgs: Tensor) -> list[Tensor]:  # type: ignore[override]  # mmdeploy's says arrays and takes tensors
        """Return ``dets`` ``(N, K, 5)`` and ``labels`` ``(N, K)`` of images ``(N, C, H, W)``, padded with scores 0."""
        model_cfg: Any = self.model_cfg
        scores, boxes = self.wrapper.output_to_list(self.wrapper({self.input_name: imgs}))
        if clips_boxes(MODELS.get(model_cfg.model.bbox_head.type)):
            height, width = imgs.shape[-2:]
            boxes = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))
        test_cfg = model_cfg.model.test_cfg
        results = [self.suppress(*image, test_cfg) for image in zip(scores, boxes, strict=True)]
        count = max(1, *(len(labels) for _, labels in results))
        dets = imgs.new_zeros(len(results), count, 5)
        labels = torch.zeros(len(results), count, dtype=torch.long)
        for index, (image_dets, image_labels) in enumerate(results):
            dets[index, : len(image_dets)] = image_dets
            labels[index, : len(image_labels)] = image_labels
        return [dets, labels]

    @staticmethod
    def suppress(scores: Tensor, boxes: Tensor, test_cfg: Any) -> tuple[Tensor, Tensor]:
        """NMS of one image: scores ``(P, classes)`` and boxes ``(P, 4)`` to dets ``(n, 5)`` and labels ``(n,)``."""
        point, label = (scores > test_cfg.score_thr).nonzero(as_tuple=True)
        if not len(point):
            # mmcv's NMS takes the maximum of the boxes, and there is none.
            return boxes.new_zeros(0, 5), label
        dets, kept = batched_nms(boxes[point], scores[point, label], label, dict(test_cfg.nms))
        kept = kept[: test_cfg.max_per_img]
        return dets[: test_cfg.max_per_img], label[kept]
