"""A first config for a data set that ``lcnet data convert`` wrote: short, commented, and ready to train."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.formats.conversion import TASKS
from ..data.formats.samples import CLASSIFICATION, DETECTION, SEGMENTATION
from ..data.formats.writing import SUMMARY
from ..utils.arguments import nearest
from ..utils.config import load_config
from ..utils.errors import UserError
from ..weights.catalog import SCHEME, config_path, read_catalog

# Folder, beginning and ending of the configs that a task can start from; the ending is no part of a model's name.
_CONFIGS = {
    DETECTION: (('picodet_like', '', '_coco'),),
    SEGMENTATION: (('mobileseg', '', '_cityscapes'), ('deeplabv3plus', '', '_cityscapes')),
    CLASSIFICATION: (('imagenet', 'pplcnet', '_in1k'),),
}
DEFAULT_MODELS = {
    DETECTION: 'picodet_s_416',
    SEGMENTATION: 'mobileseg_lcnet_1x',
    CLASSIFICATION: 'pplcnet_1x',
}
# Gigabytes that an image of 416x416 takes in a training step of PicoDet-S on a CPU.
_GIGABYTES = 0.2
_LARGEST_BATCH = {'cpu': 16, 'cuda': 32}
# Between training enough on few images and not for days on many.
_STEPS, _EPOCHS = 3000, (20, 150)
_EVALUATIONS, _PATIENCE = 25, 8
_DIVISOR = 32
# Where the data have no test split.
_SAME = 'test_dataloader = val_dataloader\ntest_evaluator = val_evaluator\n'


@dataclass(frozen=True)
class _Data:
    """A data set as ``lcnet data convert`` described it."""

    root: str
    classes: list[str]
    train_images: int
    suffix: str
    # The split that lcnet test evaluates.
    test: str


@dataclass(frozen=True)
class _Plan:
    """The choices of a config, and the reasons as comments."""

    base: str
    # Names of published weights: of the whole model, or of its backbone.
    load_from: str | None
    backbone: str | None
    device: str
    batch: int
    epochs: int
    steps: int
    rate: float
    size: int
    resized: bool

    @property
    def interval(self) -> int:
        """Epochs between two evaluations."""
        return max(1, self.epochs // _EVALUATIONS)


def init_config(task: str, data: str | Path, model: str | None = None, input_size: int | None = None) -> str:
    """Write a config for a data set, with the reasons for its choices as comments.

    Args:
        task: 'detect', 'segment' or 'classify'.
        data: A folder that ``lcnet data convert`` wrote.
        model: The model, named as its config: ``picodet_s_416``, ``deeplabv3plus_lcnet_1x``, ``pplcnet_0.5x``.
        input_size: Side of the square input, a multiple of 32; that of the model's config by default.

    Returns:
        The text of the config.

    Raises:
        UserError: the folder was not converted or is for another task, the model is unknown, or the size is wrong.
    """
    if task not in TASKS:
        raise UserError(f'task {task!r} is unknown; use one of {", ".join(TASKS)}')
    described = _read_data(Path(data), task)
    if input_size is not None and (input_size < _DIVISOR or input_size % _DIVISOR):
        better = max(1, round(input_size / _DIVISOR)) * _DIVISOR
        raise UserError(f'input_size must be a multiple of {_DIVISOR}, got {input_size}; {better} is the nearest')
    plan = _make_plan(task, described, _find_base(task, model or DEFAULT_MODELS[task]), input_size)
    write = {DETECTION: _detection, SEGMENTATION: _segmentation, CLASSIFICATION: _classification}[task]
    return _head(described, plan) + write(described, plan)


def list_models(task: str) -> dict[str, str]:
    """Return the models that a config of a task can start from: the path of each config below ``configs`` by name."""
    models = {}
    for folder, beginning, ending in _CONFIGS[task]:
        for file in sorted(config_path(f'configs/{folder}').glob(f'{beginning}*{ending}.py')):
            name = file.stem.removesuffix(ending)
            models[name if len(_CONFIGS[task]) == 1 else f'{folder}_{name}'] = f'{folder}/{file.name}'
    return models


def _find_base(task: str, model: str) -> str:
    """Return the config of a model."""
    models = list_models(task)
    if model not in models:
        near = nearest(model, models)
        hint = f'did you mean {near}?' if near else f'use one of {", ".join(models)}'
        raise UserError(f'model {model!r} is unknown for {task}; {hint}')
    return models[model]


def _read_data(folder: Path, task: str) -> _Data:
    """Read what ``lcnet data convert`` wrote down about a folder."""
    file = folder / SUMMARY
    if not file.is_file():
        raise UserError(f'{folder} has no {SUMMARY}; make it with lcnet data convert, which reads all common formats')
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
        found, classes, splits = content['task'], [str(name) for name in content['classes']], content['splits']
        count, test = int(splits['train']['images']), 'test' if 'test' in splits else 'val'
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{file} is damaged; convert the data again') from error
    if found != task:
        raise UserError(f'{folder} was converted for {found}, not for {task}')
    images = sorted((folder / 'images' / 'train').glob('*')) if task == SEGMENTATION else []
    return _Data(f'{folder.as_posix()}/', classes, count, images[0].suffix if images else '.png', test)


def _make_plan(task: str, data: _Data, base: str, input_size: int | None) -> _Plan:
    """Choose schedule, batch and rate."""
    cfg = load_config(config_path(f'configs/{base}'))
    catalog = read_catalog()
    published = next((name for name, entry in catalog.items() if entry.config == f'configs/{base}'), None)
    backbone: str | None = f'pplcnet_{cfg.model.backbone.get("widen_factor", 1.0):g}x_in1k'
    if published or cfg.model.backbone.type != 'PPLCNet' or backbone not in catalog:
        backbone = None
    own = _size_of(task, cfg)
    size = input_size or own
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    batch = min(_LARGEST_BATCH[device], data.train_images)
    if device == 'cpu':
        memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9
        # Half of the memory is left to everything else.
        batch = min(batch, max(1, int(memory / 2 / (_GIGABYTES * (size / 416) ** 2))))
    epochs = min(_EPOCHS[1], max(_EPOCHS[0], math.ceil(_STEPS * batch / data.train_images)))
    rate = cfg.optim_wrapper.optimizer.lr * batch / cfg.auto_scale_lr.base_batch_size
    rate = float(f'{rate / (4 if published else 1):.2g}')
    steps = epochs * math.ceil(data.train_images / batch)
    return _Plan(base, published, backbone, device, batch, epochs, steps, rate, size, size != own)


def _size_of(task: str, cfg: Any) -> int:
    """Return the side of the square that images are brought to; label maps are cut into squares of 512."""
    if task == SEGMENTATION:
        return 512
    if task == CLASSIFICATION:
        return 224
    return int(next(step.scale[0] for step in cfg.test_dataloader.dataset.pipeline if step.type == 'Resize'))


def _head(data: _Data, plan: _Plan) -> str:
    """Write what all tasks have: base, classes, weights, schedule."""
    if plan.load_from:
        weights = f"""\
# The published weights of this model: all that does not depend on the classes keeps what it has learned.
load_from = '{SCHEME}{plan.load_from}'
"""
    elif plan.backbone:
        weights = f"""\
# No weights of the whole model are published; the backbone starts from those of ImageNet.
backbone_weights = dict(type='Pretrained', checkpoint='{SCHEME}{plan.backbone}', prefix='backbone.')
"""
    else:
        weights = '# No weights of this model are published: the training starts from random ones.\n'
    limit = f'Up to {_LARGEST_BATCH[plan.device]} images on a GPU'
    if plan.device == 'cpu':
        limit = f'As many images as fit into half of the memory, up to {_LARGEST_BATCH["cpu"]} on a CPU'
    return f"""\
# Train: lcnet train THIS_FILE. Evaluate: lcnet test THIS_FILE CHECKPOINT.
_base_ = 'lcnet_mm::{plan.base}'

classes = {tuple(data.classes)!r}
data_root = {data.root!r}
{weights}
# {data.train_images} training images: about {_STEPS} steps, but from {_EPOCHS[0]} to {_EPOCHS[1]} epochs.
max_epochs = {plan.epochs}
# {limit}.
batch_size = {plan.batch}
num_workers = {min(4, os.cpu_count() or 1)}
"""


def _backbone(plan: _Plan) -> str:
    """Write the weights of the backbone, where only those are published."""
    return 'backbone=dict(init_cfg=backbone_weights), ' if plan.backbone else ''


def _schedule(plan: _Plan, metric: str, hooks: str = '') -> str:
    """Write optimizer, schedule, averaging, early stopping and seed, in epochs."""
    reason = "The recipe's rate for this batch"
    if plan.load_from:
        reason = "A quarter of the recipe's rate for this batch, so that the weights keep what they have learned"
    momentum = min(0.02, max(0.0002, 10 / plan.steps))
    return f"""
# {reason}; with more GPUs it is scaled.
optim_wrapper = dict(optimizer=dict(lr={plan.rate}))
auto_scale_lr = dict(enable=True, base_batch_size=batch_size)
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval={plan.interval})
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR', T_max=max_epochs, begin=0, end=max_epochs, by_epoch=True, convert_to_iter_based=True
    ),
]
custom_hooks = [{hooks}
    # The evaluated weights are an average over about a tenth of the training.
    dict(type='EMAHook', ema_type='RampedEMA', momentum={momentum:.2g}, update_buffers=True),
    # Stops when {_PATIENCE} evaluations in turn were no better; lcnet train --patience sets another number.
    dict(type='PatienceHook', monitor='{metric}', rule='greater', patience={_PATIENCE}),
]
default_hooks = dict(
    channels_last=dict(type='ChannelsLastHook'),  # faster depthwise convolutions on a CPU
    checkpoint=dict(by_epoch=True, interval={plan.interval}, save_best='{metric}'),
    logger=dict(interval=10),
)
randomness = dict(seed=0)
"""


def _detection(data: _Data, plan: _Plan) -> str:
    """Write the parts of a detector's config."""
    hooks = "\n    dict(type='NumClassCheckHook'),\n    dict(type='SetEpochInfoHook'),"
    resize = (
        f'\nfrom lcnet_mm.detection import set_input_size\n\nset_input_size(_base_, {plan.size})\n'
        if plan.resized
        else ''
    )
    test = _evaluated('test') if data.test == 'test' else _SAME
    return f"""
model = dict({_backbone(plan)}bbox_head=dict(num_classes=len(classes)))
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/'),
        # Images without an object are trained on as background.
        filter_cfg=dict(filter_empty_gt=False),
    ),
)
{_evaluated('val')}{test}{_schedule(plan, 'coco/bbox_mAP', hooks)}{resize}"""


def _evaluated(split: str) -> str:
    """Write the data and the evaluator of a detector for a split."""
    return f"""{split}_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file='annotations/{split}.json',
        data_prefix=dict(img='{split}/'),
    ),
)
{split}_evaluator = dict(ann_file=data_root + 'annotations/{split}.json')
"""


def _segmentation(data: _Data, plan: _Plan) -> str:
    """Write the parts of a segmentor's config."""
    colors = [[(37 * i) % 256, (91 * i) % 256, (173 * i) % 256] for i in range(len(data.classes))]
    split = """    dataset=dict(
        _delete_=True,
        **dataset,
        data_prefix=dict(img_path='images/{0}', seg_map_path='labels/{0}'),
        pipeline={1}_pipeline,
    ),"""
    test = 'val_dataloader'
    if data.test == 'test':
        test = f'dict(\n    num_workers=num_workers,\n{split.format("test", "test")}\n)'
    return f"""
palette = {colors}
size = ({plan.size}, {plan.size})
labels = dict(type='LoadCheckedAnnotations', num_classes=len(classes))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    labels,
    dict(type='RandomResize', scale=size, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=size, keep_ratio=True),
    labels,
    dict(type='PackSegInputs'),
]
dataset = dict(
    type='BaseSegDataset',
    data_root=data_root,
    metainfo=dict(classes=classes, palette=palette),
    img_suffix='{data.suffix}',
    seg_map_suffix='.png',
)
model = dict({_backbone(plan)}data_preprocessor=dict(size=size), decode_head=dict(num_classes=len(classes)))
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    sampler=dict(type='DefaultSampler'),
    # A last batch of one image is too few for batch norm.
    drop_last=True,
{split.format('train', 'train')}
)
val_dataloader = dict(
    num_workers=num_workers,
{split.format('val', 'test')}
)
test_dataloader = {test}
log_processor = dict(by_epoch=True)
{_schedule(plan, 'mIoU')}"""


def _classification(data: _Data, plan: _Plan) -> str:
    """Write the parts of a classifier's config."""
    pipelines = ('{{_base_.train_pipeline}}', '{{_base_.test_pipeline}}')
    own = ''
    if plan.resized:
        pipelines = ('train_pipeline', 'test_pipeline')
        own = f"""train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='UniformAspectRandomResizedCrop', scale={plan.size}),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale={round(plan.size * 256 / 224)}, edge='short', interpolation='bilinear'),
    dict(type='CenterCrop', crop_size={plan.size}),
    dict(type='PackInputs'),
]
"""
    return f"""
model = dict({_backbone(plan)}head=dict(num_classes=len(classes)))
dataset = dict(type='CustomDataset', data_root=data_root)
{own}train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(_delete_=True, **dataset, data_prefix='train', pipeline={pipelines[0]}),
)
val_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(_delete_=True, **dataset, data_prefix='val', pipeline={pipelines[1]}),
)
test_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(_delete_=True, **dataset, data_prefix='{data.test}', pipeline={pipelines[1]}),
)
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator
{_schedule(plan, 'accuracy/top1')}"""
