"""What a config means: classes, pipeline, size, channels and metric."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import cv2
import numpy as np
import pytest
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope

from lcnet_mm.apis import UserError, check_data, load_config
from lcnet_mm.data.classes import head_class_numbers
from lcnet_mm.data.spec import fit_pipeline, pipeline_size, resolve_config, test_pipeline

DIGITS = 'configs/demo/lcnet_0.5x_digits.py'
DETECTOR = 'configs/picodet_like/picodet_xs_320_coco.py'
SEGMENTOR = 'configs/deeplabv3plus/lcnet_0.5x_cityscapes.py'
CLASSIFIER = 'configs/imagenet/pplcnet_0.25x_in1k.py'


@pytest.mark.parametrize(
    'path, task, count, first, size, metric',
    [
        (DETECTOR, 'detection', 80, 'person', (320, 320), 'coco/bbox_mAP'),
        (DIGITS, 'detection', 10, '0', (288, 288), 'coco/bbox_mAP'),
        (SEGMENTOR, 'segmentation', 19, 'road', (2048, 1024), 'mIoU'),
        (CLASSIFIER, 'classification', 1000, 'tench, Tinca tinca', (224, 224), 'accuracy/top1'),
    ],
)
def test_every_task(path, task, count, first, size, metric):
    spec = resolve_config(load_config(path))
    assert (spec.task, len(spec.classes), spec.classes[0]) == (task, count, first)
    assert (spec.input_size, spec.channels, spec.color, spec.metric) == (size, 3, 'RGB', metric)
    assert spec.mean == (123.675, 116.28, 103.53) and spec.std == (58.395, 57.12, 57.375)
    kinds = [step['type'] for step in spec.pipeline]
    assert kinds[0] == 'LoadImageFromFile' and kinds[-1].startswith('Pack') and 'LoadAnnotations' not in kinds
    with pytest.raises(FrozenInstanceError):
        spec.task = 'other'
    # The config's scope was passed, not set.
    assert DefaultScope.get_current_instance() is None


def test_classes_of_the_checkpoint_go_first_and_foreign_names_are_not_used():
    cfg = load_config(DIGITS)
    names = [f'digit {index}' for index in range(10)]
    meta = dict(dataset_meta=dict(classes=names, palette=[[index, 0, 0] for index in range(10)]))
    spec = resolve_config(cfg, meta)
    assert spec.classes == tuple(names) and spec.palette[9] == (9, 0, 0)
    # A checkpoint whose names do not fit its outputs, and data of another number of classes.
    assert resolve_config(cfg, dict(dataset_meta=dict(classes=['one']))).classes == tuple('0123456789')
    cfg.model.bbox_head.num_classes = 3
    spec = resolve_config(cfg)
    assert spec.classes == ('0', '1', '2') and spec.palette is None


def wrap(dataset):
    inner = ConfigDict(type='RepeatDataset', times=1, dataset=dataset)
    return ConfigDict(type='ConcatDataset', datasets=[inner, dataset])


def test_wrapped_test_data_are_looked_into():
    cfg = load_config(DETECTOR)
    plain = resolve_config(cfg)
    cfg.test_dataloader.dataset = wrap(cfg.test_dataloader.dataset)
    assert resolve_config(cfg) == plain
    cfg.test_dataloader.dataset.datasets[1] = ConfigDict(cfg.test_dataloader.dataset.datasets[1])
    cfg.test_dataloader.dataset.datasets[1].pipeline = [dict(type='LoadImageFromFile')]
    with pytest.raises(UserError, match='different pipelines'):
        resolve_config(cfg)


def test_the_pipeline_is_that_of_the_data():
    """As tools/test.py runs it: the variable test_pipeline counts only where there are no test data."""
    cfg = load_config(DIGITS, {'test_dataloader.dataset.pipeline.1.scale': (96, 64)})
    assert cfg.test_pipeline[1].scale == (288, 288)
    assert pipeline_size(test_pipeline(cfg)) == (96, 64)
    cfg.pop('test_dataloader')
    assert pipeline_size(test_pipeline(cfg)) == (288, 288)
    cfg.pop('test_pipeline')
    assert test_pipeline(cfg) == () and resolve_config(cfg).input_size is None


def test_unknown_configs():
    with pytest.raises(UserError, match='default_scope mmdet or mmseg or mmpretrain, got None'):
        resolve_config(Config(dict(model=dict(type='PPLCNet'))))
    with pytest.raises(UserError, match='has no model'):
        resolve_config(Config(dict(default_scope='mmdet')))


LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='PackInputs')


@pytest.mark.parametrize(
    'steps, expected',
    [
        (
            [dict(type='Resize', scale=(320, 320), keep_ratio=True, interpolation='bicubic')],
            [dict(type='Resize', scale=(160, 96), keep_ratio=False, interpolation='bicubic')],
        ),
        # The same share of the image, 224 of 256, is seen.
        (
            [
                dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
                dict(type='CenterCrop', crop_size=224),
            ],
            [
                dict(type='ResizeEdge', scale=183, edge='short', backend='pillow'),
                dict(type='CenterCrop', crop_size=(160, 96)),
            ],
        ),
        (
            [dict(type='Resize', scale=256), dict(type='CenterCrop', crop_size=(224, 224))],
            [dict(type='Resize', scale=(183, 110)), dict(type='CenterCrop', crop_size=(160, 96))],
        ),
        (
            [dict(type='ResizeEdge', scale=64, backend='pillow')],
            [dict(type='Resize', scale=(160, 96), keep_ratio=False, backend='pillow')],
        ),
        (
            [dict(type='mmdet.Resize', scale=(64, 64), keep_ratio=True), dict(type='mmdet.Pad', size=(64, 64))],
            [dict(type='Resize', scale=(160, 96), keep_ratio=False), dict(type='mmdet.Pad', size=(160, 96))],
        ),
        ([], [dict(type='Resize', scale=(160, 96), keep_ratio=False)]),
    ],
)
def test_static_sizes(steps, expected):
    given = [ConfigDict(step) for step in (LOAD, *steps, PACK)]
    fitted = fit_pipeline(given, (160, 96))
    assert [dict(step) for step in fitted] == [LOAD, *expected, PACK]
    assert [dict(step) for step in given] == [LOAD, *steps, PACK]
    assert pipeline_size(fitted) == (160, 96)


def test_the_own_size_changes_nothing():
    spec = resolve_config(load_config(CLASSIFIER))
    crop = spec.at_size((224, 224)).pipeline[2]
    assert spec.at_size((224, 224)).pipeline[:2] == spec.pipeline[:2] and crop.crop_size == (224, 224)
    assert spec.at_size((224, 224)).is_static and not spec.is_static


def test_a_distillation_has_the_classes_of_its_student(imagenet_like):
    cfg = load_config('configs/demo/ssld/ssld.py')
    assert ('student.head', 10) in list(head_class_numbers(cfg.model))
    assert len(resolve_config(cfg).classes) == 10
    cfg.train_dataloader = dict(dataset=dict(type='CustomDataset', data_root=str(imagenet_like), data_prefix='train'))
    check_data(cfg, ('train',))
    cfg.model.student.head.num_classes = 9
    with pytest.raises(UserError, match=r'train data has 10 classes, model\.student\.head\.num_classes is 9'):
        check_data(cfg, ('train',))


@pytest.fixture
def imagenet_like(tmp_path):
    """Folders of ten classes."""
    for label in range(10):
        (tmp_path / 'train' / str(label)).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / 'train' / str(label) / 'a.png'), np.full((8, 8), label, np.uint8))
    return tmp_path


def test_the_checks_of_annotations_need_no_torch():
    code = (
        'import sys\n'
        'for name in ("torch", "mmengine", "mmcv", "mmdet"): sys.modules[name] = None\n'
        'from lcnet_mm.data import check_coco, prepare_cityscapes\n'
    )
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 0
