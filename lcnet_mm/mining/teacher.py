"""The classifier that scores the pool, of mmpretrain or timm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS, TRANSFORMS
from torch import Tensor

from ..classification.reading import Transform, UnreadableImage, load_image
from ..data.classes import dataset_classes
from ..data.spec import datasets_of, test_pipeline
from ..utils.checkpoint import load_weights
from ..utils.config import load_config
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error


class Teacher:
    """A classifier with its test pipeline.

    Attributes:
        num_classes: Number of classes.
        class_names: Names of the classes, or None if neither the checkpoint nor the config has them.
        fingerprint: SHA-256 of the ``config`` and of the ``checkpoint``.

    Args:
        model: Config of the classifier.
        pipeline: Configs of the transforms, from loading to packing.
        checkpoint: File of the weights; None keeps the weights of the built model.
        class_names: Names of the classes, if the checkpoint has none.
        device: PyTorch device; None selects the GPU if there is one.

    Raises:
        UserError: the model or the pipeline cannot be built or run, or the checkpoint does not fit.
    """

    def __init__(
        self,
        model: dict[str, Any],
        pipeline: Sequence[dict[str, Any]],
        checkpoint: str | Path | None,
        class_names: Sequence[str] | None = None,
        device: str | None = None,
    ) -> None:
        # A download may raise any kind of error.
        with (
            as_user_error('the teacher cannot be built', Exception),
            DefaultScope.overwrite_default_scope('mmpretrain'),
        ):
            self.model: Any = MODELS.build(model)
            self.pipeline: list[Transform] = [TRANSFORMS.build(step) for step in pipeline]
        meta: dict[str, Any] = {}
        if checkpoint is not None:
            meta = load_weights(self.model, checkpoint).get('dataset_meta') or {}
        weights = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            weights.update(name.encode() + tensor.contiguous().cpu().flatten().view(torch.uint8).numpy().tobytes())
        config = json.dumps([model, list(pipeline)], sort_keys=True, default=str)
        self.fingerprint = dict(config=hashlib.sha256(config.encode()).hexdigest(), checkpoint=weights.hexdigest())
        self.model.to(device or ('cuda:0' if torch.cuda.is_available() else 'cpu')).eval()
        self.num_classes = self._try_out()
        names = meta.get('classes') or class_names
        self.class_names = list(names) if names and len(names) == self.num_classes else None

    def _try_out(self) -> int:
        """Run the pipeline and the model on an image of noise, and return the number of classes."""
        noise = np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8)
        with (
            as_user_error('the teacher cannot score an image', *BUILD_ERRORS, UnreadableImage),
            TemporaryDirectory() as folder,
        ):
            path = f'{folder}/noise.png'
            cv2.imwrite(path, noise)
            data, transforms = load_image(self.pipeline, dict(img_path=path, sample_idx=0))
            for transform in transforms:
                data = transform(data)
            if not isinstance(data, dict) or 'inputs' not in data:
                raise ValueError('its test pipeline does not end with PackInputs')
            (sample,) = self.predict(data['inputs'][None])
        return len(sample)

    def predict(self, inputs: Tensor | list[Tensor]) -> Tensor:
        """Compute the probabilities ``(N, classes)`` of images ``(N, 3, H, W)`` from the pipeline."""
        with torch.inference_mode():
            samples = self.model.test_step(dict(inputs=inputs))
            return torch.stack([sample.pred_score for sample in samples]).float().cpu()

    def score(self, inputs: Tensor | list[Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Compute the probability of the best class ``(N,)``, and that class ``(N,)``."""
        scores, labels = self.predict(inputs).max(1)
        return scores.numpy(), labels.numpy()


def teacher_of_config(path: str | Path, checkpoint: str | Path, options: dict[str, Any] | None = None) -> Teacher:
    """Build a teacher from an mmpretrain config, with the pipeline of its ``test_dataloader``.

    Raises:
        UserError: as for :class:`Teacher`, or the config is not that of a classifier.
    """
    cfg: Config = load_config(path, options)
    if cfg.get('default_scope') != 'mmpretrain' or 'model' not in cfg:
        raise UserError(f'config {path} is not that of an mmpretrain classifier; the teacher must be one')
    datasets = datasets_of(cfg, 'test')
    pipeline = test_pipeline(cfg) if datasets else ()
    if not pipeline:
        raise UserError(f'config {path} has no test_dataloader.dataset.pipeline, which the teacher needs')
    model = cfg.model.to_dict()
    if 'pretrained' in model:
        # The checkpoint replaces the weights that would be downloaded.
        model['pretrained'] = False if model['type'].endswith('TimmClassifier') else None
    return Teacher(model, [dict(step) for step in pipeline], checkpoint, dataset_classes(cfg, datasets[0]))


def teacher_of_timm(name: str, checkpoint: str | Path | None, num_classes: int | None = None) -> Teacher:
    """Build a teacher from a timm model, with the normalization and crop of its weights.

    Args:
        name: Name in ``timm.list_models``.
        checkpoint: File of the weights; None downloads those of timm.
        num_classes: Number of classes of the checkpoint, if it is not that of timm's weights.

    Raises:
        UserError: as for :class:`Teacher`, or timm has no such model.
    """
    import timm

    if not timm.is_model(name):
        raise UserError(f"timm has no model {name!r}; timm.list_models('*{name[:6]}*') lists the similar ones")
    pretrained = timm.get_pretrained_cfg(name)
    data = timm.data.resolve_data_config(pretrained_cfg=pretrained.to_dict() if pretrained else {})
    model = dict(
        type='TimmClassifier',
        model_name=name,
        pretrained=checkpoint is None,
        data_preprocessor=dict(
            mean=[255 * value for value in data['mean']], std=[255 * value for value in data['std']], to_rgb=True
        ),
    )
    if num_classes is not None:
        model['num_classes'] = num_classes
    side = data['input_size'][1]
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(
            type='ResizeEdge', scale=int(side / data['crop_pct']), edge='short', backend='pillow',
            interpolation=data['interpolation'],
        ),
        dict(type='CenterCrop', crop_size=side),
        dict(type='PackInputs'),
    ]  # fmt: skip
    return Teacher(model, pipeline, checkpoint)
