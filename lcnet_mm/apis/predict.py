"""Running a checkpoint on images: drawings and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tqdm import tqdm

from ..data.spec import TASKS, ModelSpec, resolve_config
from ..utils.checkpoint import load_weights
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.images import find_images, read_image
from ..utils.models import build_model
from ..utils.predictions import PredictionWriter
from ..weights.cache import local_checkpoint

# How many classes of an image a classifier tells.
TOP_CLASSES = 5


@dataclass
class Predictions:
    """What :func:`predict` made.

    Attributes:
        images: For each image its ``file``, ``width``, ``height`` and ``drawing``; of a detector ``detections`` with
            ``class``, ``label``, ``score`` and ``bbox`` (xyxy, pixels of the image); of a segmentor ``mask``, a file
            of class indices, and ``shares`` of the classes; of a classifier ``top``, its five best classes with
            ``class``, ``label`` and ``score``.
        failures: For each image that could not be processed, its path and the reason.
        json_file: Where ``images`` and ``failures`` were written.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    json_file: Path = Path()


class Prediction(NamedTuple):
    """What a predictor says about one image.

    Attributes:
        summary: As JSON types.
        drawing: The image with the prediction drawn into it, BGR.
        mask: Class indices ``(H, W)``, uint8 (uint16 of more than 256 classes), or None.
    """

    summary: dict[str, Any]
    drawing: np.ndarray
    mask: np.ndarray | None = None


class _DetectionPredictor:
    """An mmdet model with its own test pipeline.

    Args:
        model: The model with its weights.
        spec: What its config says.
        score_thr: Lowest score of a detection that is drawn and written.
    """

    def __init__(self, model: Any, spec: ModelSpec, score_thr: float) -> None:
        from mmdet.registry import VISUALIZERS

        self.model, self.spec, self.score_thr = model, spec, score_thr
        self.pipeline = Compose(list(spec.pipeline))
        self.visualizer = VISUALIZERS.build(dict(type='DetLocalVisualizer', name='predict'))
        self.visualizer.dataset_meta = dict(classes=spec.classes, palette=_as_list(spec.palette))

    @torch.no_grad()
    def __call__(self, path: Path, image: np.ndarray) -> Prediction:
        """Detect in an image file, and draw on its BGR pixels; the detections are ordered from the best."""
        sample = _run(self.model, self.pipeline(dict(img_path=str(path), img_id=0)))
        kept = sample.pred_instances[sample.pred_instances.scores >= self.score_thr].cpu()
        detections = []
        for box, score, label in zip(kept.bboxes.tolist(), kept.scores.tolist(), kept.labels.tolist(), strict=True):
            name = self.spec.classes[label] if label < len(self.spec.classes) else str(label)
            detections.append({'class': name, 'label': label, 'score': score, 'bbox': box})
        sample.pred_instances = kept
        self.visualizer.add_datasample('', image[..., ::-1], sample, draw_gt=False, pred_score_thr=self.score_thr)
        return Prediction(dict(detections=detections), np.ascontiguousarray(self.visualizer.get_image()[..., ::-1]))


class _SegmentationPredictor:
    """An mmseg model with its own test pipeline.

    Args:
        model: The model with its weights.
        spec: What its config says.
        score_thr: Not used.
    """

    def __init__(self, model: Any, spec: ModelSpec, score_thr: float) -> None:
        from mmseg.registry import VISUALIZERS

        self.model = model
        self.pipeline = Compose(list(spec.pipeline))
        count = model.num_classes
        self.classes = spec.classes if len(spec.classes) == count else tuple(map(str, range(count)))
        self.visualizer = VISUALIZERS.build(dict(type='SegLocalVisualizer', name='predict', alpha=0.6))
        palette = _as_list(spec.palette) or np.random.default_rng(0).integers(0, 256, (count, 3)).tolist()
        self.visualizer.dataset_meta = dict(classes=self.classes, palette=palette)

    @torch.no_grad()
    def __call__(self, path: Path, image: np.ndarray) -> Prediction:
        """Classify the pixels of an image file; the summary has the share of each class that is in it."""
        sample = _run(self.model, self.pipeline(dict(img_path=str(path))))
        dtype = np.uint8 if len(self.classes) <= 256 else np.uint16
        mask = sample.pred_sem_seg.data[0].cpu().numpy().astype(dtype)
        counts = np.bincount(mask.ravel())
        shares = {self.classes[label]: float(n / mask.size) for label, n in enumerate(counts) if n}
        self.visualizer.add_datasample('', image[..., ::-1], sample.cpu(), draw_gt=False, with_labels=False)
        drawing = np.ascontiguousarray(self.visualizer.get_image()[..., ::-1])
        return Prediction(dict(shares=shares), drawing, mask)


class _ClassificationPredictor:
    """An mmpretrain model with its own test pipeline.

    Args:
        model: The model with its weights.
        spec: What its config says.
        score_thr: Not used.
    """

    def __init__(self, model: Any, spec: ModelSpec, score_thr: float) -> None:
        from mmpretrain.registry import VISUALIZERS

        self.model, self.classes = model, spec.classes
        self.pipeline = Compose(list(spec.pipeline))
        self.visualizer = VISUALIZERS.build(dict(type='UniversalVisualizer', name='predict'))

    @torch.no_grad()
    def __call__(self, path: Path, image: np.ndarray) -> Prediction:
        """Classify an image file; the summary has the best classes from the best."""
        sample = _run(self.model, self.pipeline(dict(img_path=str(path)))).cpu()
        scores, labels = sample.pred_score.topk(min(TOP_CLASSES, len(sample.pred_score)))
        count = len(sample.pred_score)
        names = self.classes if len(self.classes) == count else tuple(map(str, range(count)))
        top = [
            {'class': names[label], 'label': label, 'score': score}
            for label, score in zip(labels.tolist(), scores.tolist(), strict=True)
        ]
        self.visualizer.visualize_cls(image[..., ::-1], sample, classes=list(names), draw_gt=False)
        return Prediction(dict(top=top), np.ascontiguousarray(self.visualizer.get_image()[..., ::-1]))


def _run(model: Any, data: Any) -> Any:
    """Predict one packed sample."""
    (sample,) = model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
    return sample


def _as_list(palette: tuple[tuple[int, ...], ...] | None) -> list[tuple[int, ...]] | None:
    """Return a palette as the visualizers of the mm libraries take it: a list of tuples."""
    return list(palette) if palette else None


_PREDICTORS: dict[str, Callable[[Any, ModelSpec, float], Callable[[Path, np.ndarray], Prediction]]] = {
    'detection': _DetectionPredictor,
    'segmentation': _SegmentationPredictor,
    'classification': _ClassificationPredictor,
}


def predict(
    cfg: Config,
    checkpoint: str | Path,
    inputs: Sequence[str | Path],
    out_dir: str | Path,
    *,
    score_thr: float = 0.3,
    device: str | None = None,
) -> Predictions:
    """Predict images; writes drawings ``NAME.jpg``, ``predictions.json``, and of a segmentor ``NAME_mask.png``.

    An image that cannot be processed is recorded and does not stop the others. No input is ever replaced, nor another
    file in the folder that is not the result of an earlier run.

    Args:
        cfg: The config that the checkpoint was trained with.
        checkpoint: The checkpoint, or ``lcnet://NAME``; every tensor must fit.
        inputs: Images and folders.
        out_dir: Folder of the results.
        score_thr: Least score of a detection that is drawn and written.
        device: As PyTorch names it; None takes the GPU if there is one.

    Returns:
        What was predicted, and what failed.

    Raises:
        UserError: an input does not exist, ``out_dir`` has an input or cannot be written to, or the config, the
            checkpoint or the device is wrong.
    """
    if not 0 <= score_thr <= 1:
        raise UserError(f'score_thr must be within 0 and 1, got {score_thr}')
    images = find_images(inputs)
    scope = cfg.get('default_scope')
    if scope not in TASKS:
        raise UserError(f'predictions need a config with default_scope {" or ".join(TASKS)}, got {scope}')
    writer = PredictionWriter(out_dir, images)
    with DefaultScope.overwrite_default_scope(scope):
        predictor = _build_predictor(cfg, checkpoint, score_thr, device)
        with writer:
            for path in tqdm(images, desc='predict', unit='image', disable=len(images) == 1):
                try:
                    image = read_image(path)
                    prediction = predictor(path, image)
                except Exception as error:
                    # Whatever a transform or the model raises for one image, the others are processed.
                    kind = '' if isinstance(error, ValueError) else f'{type(error).__name__}: '
                    writer.fail(path, f'{kind}{error}')
                    continue
                size = (image.shape[1], image.shape[0])
                writer.add(path, size, prediction.drawing, prediction.summary, prediction.mask)
    return Predictions(writer.images, writer.failures, writer.json_file)


def _build_predictor(
    cfg: Config, checkpoint: str | Path, score_thr: float, device: str | None
) -> Callable[[Path, np.ndarray], Prediction]:
    """Build the model with its weights, and what runs it on an image."""
    with as_user_error('the model cannot be built', *BUILD_ERRORS):
        model = build_model(cfg)
    spec = resolve_config(cfg, load_weights(model, local_checkpoint(checkpoint)))
    if not spec.pipeline:
        raise UserError('the config has no test pipeline; predictions need test_dataloader.dataset.pipeline')
    device = device or ('cuda:0' if torch.cuda.is_available() else 'cpu')
    try:
        model.to(device).eval()
    # Without CUDA torch fails with an AssertionError.
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f'device {device} cannot be used here: {str(error).splitlines()[0]}; cpu is always there'
        ) from error
    return _PREDICTORS[spec.task](model, spec, score_thr)
