"""Running a checkpoint on pictures: drawings and JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from tqdm import tqdm

from ..errors import UserError, as_user_error
from ..images import drawing_path, find_images, read_image
from .train import BUILD_ERRORS
from .weights import load_weights


@dataclass
class Predictions:
    """What :func:`predict` made.

    Attributes:
        images: For each picture its ``file``, ``width``, ``height``, ``drawing`` and ``detections``; a detection has
            ``class``, ``label``, ``score`` and ``bbox`` (xyxy, pixels of the picture).
        failures: For each picture that could not be processed, its path and the reason.
        json_file: Where ``images`` and ``failures`` were written.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    json_file: Path = Path()


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

    def __call__(self, image: np.ndarray) -> tuple[list[dict[str, Any]], np.ndarray]:
        """Return the detections of a BGR picture, best first, and the picture with them drawn (BGR)."""
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
        return detections, np.ascontiguousarray(self.visualizer.get_image()[..., ::-1])


PREDICTORS = {'mmdet': DetectionPredictor}


def predict(
    cfg: Config,
    checkpoint: str | Path,
    inputs: Sequence[str | Path],
    out_dir: str | Path,
    *,
    score_thr: float = 0.3,
    device: str | None = None,
) -> Predictions:
    """Predict pictures; writes ``out_dir/NAME.jpg`` with the drawings and ``out_dir/predictions.json``.

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
            detections, drawing = predictor(image)
        except (ValueError, OSError, RuntimeError, cv2.error) as error:
            result.failures.append({'file': str(path), 'reason': ' '.join(str(error).split())})
            continue
        target = drawing_path(path, taken, out_dir)
        cv2.imencode('.jpg', drawing)[1].tofile(target)
        height, width = image.shape[:2]
        result.images.append(
            dict(file=str(path), width=width, height=height, drawing=str(target), detections=detections)
        )
    partial = result.json_file.with_suffix('.partial')
    partial.write_text(json.dumps(dict(images=result.images, failures=result.failures), indent=1))
    os.replace(partial, result.json_file)
    return result
