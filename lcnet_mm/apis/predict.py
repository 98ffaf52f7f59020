"""Running a checkpoint on pictures: drawings and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from tqdm import tqdm

from ..data.classes import dataset_classes, dataset_palette
from ..utils.checkpoint import load_weights
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.files import write_json
from ..utils.images import drawing_path, find_images, read_image

# How many classes of a picture a classifier tells.
TOP_CLASSES = 5


@dataclass
class Predictions:
    """What :func:`predict` made.

    Attributes:
        images: For each picture its ``file``, ``width``, ``height`` and ``drawing``; of a detector ``detections`` with
            ``class``, ``label``, ``score`` and ``bbox`` (xyxy, pixels of the picture); of a segmentor ``mask``, a file
            of class indices, and ``shares`` of the classes; of a classifier ``top``, its five best classes with
            ``class``, ``label`` and ``score``.
        failures: For each picture that could not be processed, its path and the reason.
        json_file: Where ``images`` and ``failures`` were written.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    json_file: Path = Path()


class Prediction(NamedTuple):
    """What a predictor says about one picture.

    Attributes:
        summary: As JSON types.
        drawing: The picture with the prediction drawn into it, BGR.
        mask: Class indices ``(H, W)`` uint8, or None.
    """

    summary: dict[str, Any]
    drawing: np.ndarray
    mask: np.ndarray | None = None


class DetectionPredictor:
    """An mmdet model with its own test pipeline.

    Args:
        cfg: The config that the checkpoint was trained with.
        checkpoint: The checkpoint; every tensor must fit.
        score_thr: Least score of a detection that is drawn and written.
        device: As PyTorch names it.
    """

    def __init__(self, cfg: Config, checkpoint: str | Path, score_thr: float, device: str) -> None:
        from mmdet.apis import init_detector
        from mmdet.registry import VISUALIZERS
        from mmdet.utils import get_test_pipeline_cfg

        with as_user_error('the model cannot be built', *BUILD_ERRORS):
            self.model = init_detector(cfg, None, device='cpu')
        meta = load_weights(self.model, checkpoint)
        if 'dataset_meta' in meta:
            self.model.dataset_meta = meta['dataset_meta']
        self.model.to(device)
        pipeline = get_test_pipeline_cfg(cfg.copy())
        pipeline[0] = dict(type='mmdet.LoadImageFromNDArray')
        self.pipeline = Compose(pipeline)
        self.score_thr = score_thr
        self.visualizer = VISUALIZERS.build(dict(type='DetLocalVisualizer', name='predict'))
        self.visualizer.dataset_meta = self.model.dataset_meta

    def __call__(self, image: np.ndarray) -> Prediction:
        """Detect in a BGR picture; the detections are ordered from the best."""
        from mmdet.apis import inference_detector

        sample = inference_detector(self.model, image, test_pipeline=self.pipeline)
        kept = sample.pred_instances[sample.pred_instances.scores >= self.score_thr].cpu()
        classes = self.model.dataset_meta.get('classes') or ()
        detections = []
        for box, score, label in zip(kept.bboxes.tolist(), kept.scores.tolist(), kept.labels.tolist(), strict=True):
            name = classes[label] if label < len(classes) else str(label)
            detections.append({'class': name, 'label': label, 'score': score, 'bbox': box})
        sample.pred_instances = kept
        self.visualizer.add_datasample('', image[..., ::-1], sample, draw_gt=False, pred_score_thr=self.score_thr)
        return Prediction(dict(detections=detections), np.ascontiguousarray(self.visualizer.get_image()[..., ::-1]))


class SegmentationPredictor:
    """An mmseg model with its own test pipeline.

    Args:
        As :class:`DetectionPredictor`; the score is not used.
    """

    def __init__(self, cfg: Config, checkpoint: str | Path, score_thr: float, device: str) -> None:
        from mmseg.registry import MODELS, VISUALIZERS

        with as_user_error('the model cannot be built', *BUILD_ERRORS):
            self.model = MODELS.build(cfg.model)
        meta = load_weights(self.model, checkpoint).get('dataset_meta') or {}
        self.model.to(device).eval()
        steps = [step for step in cfg.test_pipeline if not step['type'].endswith('Annotations')]
        self.pipeline = Compose([dict(type='mmseg.LoadImageFromNDArray'), *steps[1:]])
        count = self.model.num_classes
        self.classes = list(meta.get('classes') or dataset_classes(cfg, cfg.test_dataloader.dataset) or range(count))
        self.visualizer = VISUALIZERS.build(dict(type='SegLocalVisualizer', name='predict', alpha=0.6))
        palette = meta.get('palette') or dataset_palette(cfg)
        if not palette:
            palette = np.random.default_rng(0).integers(0, 256, (count, 3)).tolist()
        self.visualizer.dataset_meta = dict(classes=tuple(map(str, self.classes)), palette=palette)

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> Prediction:
        """Classify the pixels of a BGR picture; the summary has the share of each class that is in it."""
        data = self.pipeline(dict(img=image))
        (sample,) = self.model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
        mask = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
        counts = np.bincount(mask.ravel())
        shares = {str(self.classes[label]): float(n / mask.size) for label, n in enumerate(counts) if n}
        self.visualizer.add_datasample('', image[..., ::-1], sample.cpu(), draw_gt=False, with_labels=False)
        drawing = np.ascontiguousarray(self.visualizer.get_image()[..., ::-1])
        return Prediction(dict(shares=shares), drawing, mask)


class ClassificationPredictor:
    """An mmpretrain model with its own test pipeline.

    Args:
        As :class:`DetectionPredictor`; the score is not used.
    """

    def __init__(self, cfg: Config, checkpoint: str | Path, score_thr: float, device: str) -> None:
        from mmpretrain.registry import MODELS, VISUALIZERS

        model_cfg = cfg.model.copy()
        if 'data_preprocessor' in cfg:
            # As mmengine's runner does.
            model_cfg.setdefault('data_preprocessor', cfg.data_preprocessor)
        with as_user_error('the model cannot be built', *BUILD_ERRORS):
            self.model = MODELS.build(model_cfg)
        meta = load_weights(self.model, checkpoint).get('dataset_meta') or {}
        self.model.to(device).eval()
        self.pipeline = Compose(cfg.test_pipeline[1:])
        self.classes = meta.get('classes') or dataset_classes(cfg, cfg.test_dataloader.dataset) or ()
        self.visualizer = VISUALIZERS.build(dict(type='UniversalVisualizer', name='predict'))

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> Prediction:
        """Classify a BGR picture; the summary has the best classes from the best."""
        data = self.pipeline(dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2]))
        (sample,) = self.model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
        sample = sample.cpu()
        scores, labels = sample.pred_score.topk(min(TOP_CLASSES, len(sample.pred_score)))
        # A head of another size than the config's data, as of weights for other classes, has no names.
        names = self.classes if len(self.classes) == len(sample.pred_score) else range(len(sample.pred_score))
        top = [
            {'class': str(names[label]), 'label': label, 'score': score}
            for label, score in zip(labels.tolist(), scores.tolist(), strict=True)
        ]
        self.visualizer.visualize_cls(image[..., ::-1], sample, classes=list(map(str, names)), draw_gt=False)
        return Prediction(dict(top=top), np.ascontiguousarray(self.visualizer.get_image()[..., ::-1]))


PREDICTORS: dict[str, Callable[[Config, str | Path, float, str], Callable[[np.ndarray], Prediction]]] = {
    'mmdet': DetectionPredictor,
    'mmseg': SegmentationPredictor,
    'mmpretrain': ClassificationPredictor,
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
    """Predict pictures; writes drawings ``NAME.jpg``, ``predictions.json``, and of a segmentor ``NAME_mask.png``.

    A picture that cannot be processed is recorded and does not stop the others.

    Args:
        cfg: The config that the checkpoint was trained with.
        checkpoint: The checkpoint; every tensor must fit.
        inputs: Pictures and folders.
        out_dir: Folder of the results.
        score_thr: Least score of a detection that is drawn and written.
        device: As PyTorch names it; None takes the GPU if there is one.

    Returns:
        What was predicted, and what failed.

    Raises:
        UserError: an input does not exist, or the config or the checkpoint is wrong.
    """
    images = find_images(inputs)
    scope = cfg.get('default_scope')
    if scope not in PREDICTORS:
        raise UserError(f'predictions need a config with default_scope {" or ".join(PREDICTORS)}, got {scope}')
    predictor = PREDICTORS[scope](
        cfg, checkpoint, score_thr, device or ('cuda:0' if torch.cuda.is_available() else 'cpu')
    )
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    result = Predictions(json_file=out_dir / 'predictions.json')
    taken: set[Path] = set()
    for path in tqdm(images, desc='predict', unit='picture', disable=len(images) == 1):
        try:
            image = read_image(path)
            prediction = predictor(image)
        except (ValueError, OSError, RuntimeError, cv2.error) as error:
            result.failures.append({'file': str(path), 'reason': ' '.join(str(error).split())})
            continue
        target = drawing_path(path, taken, out_dir)
        cv2.imencode('.jpg', prediction.drawing)[1].tofile(target)
        height, width = image.shape[:2]
        entry = dict(file=str(path), width=width, height=height, drawing=str(target), **prediction.summary)
        if prediction.mask is not None:
            entry['mask'] = str(target.with_name(f'{target.stem}_mask.png'))
            cv2.imencode('.png', prediction.mask)[1].tofile(entry['mask'])
        result.images.append(entry)
    write_json(result.json_file, dict(images=result.images, failures=result.failures))
    return result
