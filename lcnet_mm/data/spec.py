"""What a config means for everything that runs its model: classes, test pipeline, input and metric, resolved once."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from mmengine.config import Config, ConfigDict

from ..utils.errors import UserError
from .classes import dataset_classes, dataset_palette, head_class_numbers, innermost_datasets

Size = tuple[int, int]

TASKS = {'mmdet': 'detection', 'mmseg': 'segmentation', 'mmpretrain': 'classification'}
# Main metric of each evaluator, as it is called among the results.
_METRICS = {
    'CocoMetric': 'coco/bbox_mAP',
    'VOCMetric': 'pascal_voc/mAP',
    'IoUMetric': 'mIoU',
    'Accuracy': 'accuracy/top1',
}
_CHANNELS = 3


@dataclass(frozen=True)
class ModelSpec:
    """What a config, and the checkpoint that goes with it, say about the model.

    Attributes:
        task: 'detection', 'segmentation' or 'classification'.
        classes: Names in the order of the labels; their numbers where neither the checkpoint nor the data have names.
        palette: RGB colors of the classes, or None.
        pipeline: Steps from an image file to the packed sample, as evaluation runs them, without those that load
            annotations.
        input_size: Width and height that images are brought to, or fitted into; None where there is no such size.
        is_static: Whether every image is brought to exactly ``input_size``; see :meth:`at_size`.
        channels: Channels of the input.
        color: 'RGB' or 'BGR', the order of the channels that the network expects.
        mean: Subtracted from each channel, in units of the pixels.
        std: Divides each channel afterwards.
        pad_size_divisor: The sides are padded to multiples of it.
        pad_value: What they are padded with.
        metric: Name of the main metric of the test evaluator, or None.
    """

    task: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, ...], ...] | None
    pipeline: tuple[ConfigDict, ...]
    input_size: Size | None
    channels: int
    color: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pad_size_divisor: int
    pad_value: float
    metric: str | None
    is_static: bool = False

    def at_size(self, size: Size) -> ModelSpec:
        """Return the same model with every image brought to one width and height, as a static export needs it."""
        pipeline = tuple(fit_pipeline(self.pipeline, size))
        return replace(self, pipeline=pipeline, input_size=size, pad_size_divisor=1, is_static=True)


def resolve_config(cfg: Config, meta: dict[str, Any] | None = None) -> ModelSpec:
    """Resolve a config of any mm library.

    Args:
        cfg: The config.
        meta: ``meta`` of a checkpoint; the classes and the palette that it was trained with go before the config's.

    Raises:
        UserError: the config is for no task that is known here, or its test data sets disagree.
    """
    scope = cfg.get('default_scope')
    if scope not in TASKS:
        raise UserError(f'a config needs default_scope {" or ".join(TASKS)}, got {scope}')
    if not cfg.get('model'):
        raise UserError('the config has no model')
    trained = (meta or {}).get('dataset_meta') or {}
    classes, palette = _resolve_classes(cfg, trained)
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    channels = _input_channels(cfg)
    pipeline = test_pipeline(cfg)
    return ModelSpec(
        task=TASKS[scope],
        classes=classes,
        palette=palette,
        pipeline=pipeline,
        input_size=pipeline_size(pipeline),
        channels=channels,
        color='RGB' if preprocessor.get('bgr_to_rgb', preprocessor.get('to_rgb', False)) else 'BGR',
        mean=tuple(preprocessor.get('mean') or [0.0] * channels),
        std=tuple(preprocessor.get('std') or [1.0] * channels),
        pad_size_divisor=preprocessor.get('pad_size_divisor', 1),
        pad_value=preprocessor.get('pad_value', 0),
        metric=_main_metric(cfg.get('test_evaluator')),
    )


def test_pipeline(cfg: Config) -> tuple[ConfigDict, ...]:
    """Return the steps that evaluation runs on the test data, without those that load annotations.

    They are those of the data set, inside its wrappers. ``cfg.test_pipeline``, a variable of the config that the data
    set has usually been given, counts where there is no test data. Empty where there is neither.

    Raises:
        UserError: several test data sets have different pipelines.
    """
    pipelines = [dataset.pipeline for dataset in datasets_of(cfg, 'test') if dataset.get('pipeline')]
    if any(pipeline != pipelines[0] for pipeline in pipelines):
        raise UserError('the data sets of test_dataloader have different pipelines; give them the same one')
    steps = pipelines[0] if pipelines else cfg.get('test_pipeline') or []
    return tuple(deepcopy(step) for step in steps if not step_kind(step).endswith('Annotations'))


# The name is the field's; pytest must not collect it where it is imported.
test_pipeline.__test__ = False  # type: ignore[attr-defined]


def datasets_of(cfg: Config, split: str) -> list[ConfigDict]:
    """Return the data sets of a split ('train', 'val' or 'test') inside their wrappers; none without a dataloader."""
    loader = cfg.get(f'{split}_dataloader')
    return list(innermost_datasets(loader.dataset)) if loader else []


def step_kind(step: ConfigDict) -> str:
    """Return the name of a transform without its scope."""
    return str(step['type']).split('.')[-1]


def pipeline_size(steps: Sequence[ConfigDict]) -> Size | None:
    """Return the width and height that steps bring images to, or fit them into; None where they have no such size."""
    size: Size | None = None
    for step in steps:
        kind = step_kind(step)
        if kind == 'Resize' and step.get('scale'):
            size = _pair(step['scale'])
        elif kind == 'CenterCrop':
            size = _pair(step['crop_size'])
        elif kind == 'Pad' and step.get('size'):
            size = _pair(step['size'])
    return size


def fit_pipeline(steps: Sequence[ConfigDict], size: Size) -> list[ConfigDict]:
    """Return steps that bring every image to exactly one size.

    A resize no longer keeps the aspect ratio. With a center crop, the crop takes the size, and the resize before it
    changes in proportion, so that the same share of the image is seen. Steps without any size get a resize.

    Args:
        steps: From loading to packing.
        size: Width and height.
    """
    crops = [_pair(step['crop_size']) for step in steps if step_kind(step) == 'CenterCrop']
    factors = (size[0] / crops[-1][0], size[1] / crops[-1][1]) if crops else (1.0, 1.0)
    fitted = []
    for step in map(deepcopy, steps):
        kind = step_kind(step)
        if kind == 'ResizeEdge' and crops:
            step['scale'] = round(step['scale'] * max(size) / max(crops[-1]))
        elif kind == 'Resize' and crops and step.get('scale'):
            step['scale'] = tuple(
                round(side * factor) for side, factor in zip(_pair(step['scale']), factors, strict=True)
            )
        elif kind == 'CenterCrop':
            step['crop_size'] = size
        elif kind in ('Resize', 'ResizeEdge'):
            step = _resize(size, step.get('interpolation'), step.get('backend'))
        elif kind == 'Pad' and step.get('size'):
            step['size'] = size
        fitted.append(step)
    if not any(step_kind(step) in ('Resize', 'CenterCrop') for step in fitted):
        loading = next((i for i, step in enumerate(fitted) if step_kind(step).startswith('LoadImage')), -1)
        fitted.insert(loading + 1, _resize(size))
    return fitted


def _resize(size: Size, interpolation: str | None = None, backend: str | None = None) -> ConfigDict:
    """Return a resize to a width and height that does not keep the aspect ratio."""
    given = dict(interpolation=interpolation, backend=backend)
    step = dict(type='Resize', scale=size, keep_ratio=False)
    return ConfigDict({**step, **{name: value for name, value in given.items() if value is not None}})


def _pair(value: Any) -> Size:
    """Return two ints from one or two."""
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


def _resolve_classes(
    cfg: Config, trained: dict[str, Any]
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...] | None]:
    """Return the names and the colors of the classes: the checkpoint's, or the test data's, or else numbers.

    Names that are not as many as the model's outputs belong to other data.
    """
    counts = [number for _, number in head_class_numbers(cfg.model)]
    # A classifier of timm has the number itself.
    count = counts[0] if counts else cfg.model.get('num_classes')
    palette = trained.get('palette')
    candidates = [trained.get('classes')]
    for dataset in datasets_of(cfg, 'test')[:1]:
        candidates.append(dataset_classes(cfg, dataset))
        palette = palette or dataset_palette(cfg, dataset)
    for names in candidates:
        if names and count in (None, len(names)):
            colors = tuple(tuple(map(int, color)) for color in palette) if isinstance(palette, list | tuple) else None
            return tuple(map(str, names)), colors if colors and len(colors) >= len(names) else None
    return tuple(map(str, range(count or 0))), None


def _input_channels(cfg: Config) -> int:
    """Return the channels of the backbone's input."""
    model = cfg.model.get('student') or cfg.model
    channels = model.get('in_channels') or (model.get('backbone') or {}).get('in_channels') or _CHANNELS
    return int(channels) if isinstance(channels, int) else _CHANNELS


def _main_metric(evaluator: Any) -> str | None:
    """Return the main metric of an evaluator or of the first one in a list that is known."""
    for entry in evaluator if isinstance(evaluator, list | tuple) else [evaluator or {}]:
        name = _METRICS.get(str(entry.get('type')).split('.')[-1])
        if name is not None:
            return name
    return None
