"""First configs for converted data sets: they build, pass the checks, and train."""

import cv2
import format_cases
import numpy as np
import pytest
from run_tool import assert_one_line_error, run_tool

from lcnet_mm.apis import UserError, check_config, convert_dataset, init_config, load_config, train
from lcnet_mm.apis.initial_config import list_models
from lcnet_mm.utils.models import build_model


@pytest.fixture(scope='module')
def boxes(tmp_path_factory):
    """A converted set of boxes."""
    folder = tmp_path_factory.mktemp('boxes')
    format_cases.write_yolo(folder / 'source')
    convert_dataset(folder / 'source', folder / 'data')
    return folder / 'data'


@pytest.fixture(scope='module')
def outlines(tmp_path_factory):
    """The same images with masks."""
    folder = tmp_path_factory.mktemp('outlines')
    format_cases.write_images(folder / 'source' / 'images')
    (folder / 'source' / 'masks').mkdir()
    for index, image in enumerate(sorted((folder / 'source' / 'images').iterdir())):
        mask = np.zeros(cv2.imread(str(image)).shape[:2], np.uint8)
        mask[5:20, 5:30] = 1 + index % 2
        cv2.imwrite(str(folder / 'source' / 'masks' / f'{image.stem}.png'), mask)
    convert_dataset(folder / 'source', folder / 'data', classes=['background', 'bolt', 'nut'])
    return folder / 'data'


@pytest.fixture(scope='module')
def folders(tmp_path_factory, boxes):
    """The images in a folder for each class."""
    folder = tmp_path_factory.mktemp('folders')
    for index, image in enumerate(sorted((boxes / 'train').iterdir())):
        target = folder / 'source' / ('even', 'odd')[index % 2] / image.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(image.read_bytes())
    convert_dataset(folder / 'source', folder / 'data')
    return folder / 'data'


def write(folder, *args, **kwargs):
    """Write a first config to a file and load it, without the published weights, which are not here."""
    (folder / 'my.py').write_text(init_config(*args, **kwargs))
    cfg = load_config(folder / 'my.py')
    cfg.load_from = None
    cfg.model.backbone.pop('init_cfg', None)
    return cfg


def test_detector_trains_as_it_is(boxes, tmp_path):
    cfg = write(tmp_path, 'detect', boxes, 'picodet_xs_416', input_size=96)
    assert cfg.model.bbox_head.num_classes == 2 and cfg.randomness.seed == 0
    assert cfg.test_dataloader.dataset.pipeline[1].scale == (96, 96)
    # 8 images, of which all are a batch.
    assert cfg.train_dataloader.batch_size == 8 and cfg.auto_scale_lr.base_batch_size == 8
    # A quarter of 0.00125 for each image.
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(8 * 0.00125 / 4)
    assert cfg.train_cfg.max_epochs == 150 and cfg.train_cfg.val_interval == 6
    assert check_config(cfg).ok
    cfg.merge_from_dict(
        {
            'train_cfg.max_epochs': 1,
            'train_cfg.val_interval': 1,
            'param_scheduler': [],
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'val_dataloader.num_workers': 0,
            'val_dataloader.persistent_workers': False,
        }
    )
    train(cfg, work_dir=tmp_path / 'work')
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()


def test_the_published_weights_are_named(boxes, outlines, folders):
    assert "load_from = 'lcnet://picodet_s_416_coco'" in init_config('detect', boxes)
    assert "checkpoint='lcnet://pplcnet_1x_in1k', prefix='backbone.'" in init_config('segment', outlines)
    assert "load_from = 'lcnet://pplcnet_0.5x_in1k'" in init_config('classify', folders, 'pplcnet_0.5x')
    assert 'starts from random ones' in init_config('detect', boxes, 'mobilenetv3_large_0.35x')


@pytest.mark.parametrize(
    ('model', 'size'), [('mobileseg_lcnet_0.5x', None), ('deeplabv3plus_lcnet_0.5x', 256)], ids=['mobileseg', 'size']
)
def test_segmentor(outlines, model, size, tmp_path):
    cfg = write(tmp_path, 'segment', outlines, model, size)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('background', 'bolt', 'nut')
    assert cfg.model.decode_head.num_classes == 3
    assert cfg.model.data_preprocessor.size == (size or 512, size or 512)
    assert check_config(cfg).ok
    build_model(cfg)


@pytest.mark.parametrize('size', [None, 160])
def test_classifier(folders, size, tmp_path):
    cfg = write(tmp_path, 'classify', folders, 'pplcnet_0.25x', size)
    assert cfg.model.head.num_classes == 2
    crop = cfg.test_dataloader.dataset.pipeline[2]
    assert (crop.type, crop.crop_size) == ('CenterCrop', size or 224)
    assert check_config(cfg).ok
    build_model(cfg)


def test_a_test_split_is_what_is_tested(outlines, folders, tmp_path):
    format_cases.write_yolo(tmp_path / 'source')
    convert_dataset(tmp_path / 'source', tmp_path / 'boxes', val=0.2, test=0.2)
    cfg = write(tmp_path, 'detect', tmp_path / 'boxes')
    assert cfg.test_dataloader.dataset.ann_file == 'annotations/test.json'
    assert cfg.test_evaluator.ann_file.endswith('annotations/test.json')
    assert cfg.val_evaluator.ann_file.endswith('annotations/val.json')
    assert check_config(cfg).ok
    convert_dataset(
        outlines.parent / 'source', tmp_path / 'maps', val=0.2, test=0.2, classes=['background', 'bolt', 'nut']
    )
    cfg = write(tmp_path, 'segment', tmp_path / 'maps')
    assert cfg.test_dataloader.dataset.data_prefix.img_path == 'images/test' and check_config(cfg).ok
    convert_dataset(folders.parent / 'source', tmp_path / 'classes', val=0.3, test=0.3)
    cfg = write(tmp_path, 'classify', tmp_path / 'classes')
    assert cfg.test_dataloader.dataset.data_prefix == 'test'
    assert write(tmp_path, 'classify', folders).test_dataloader.dataset.data_prefix == 'val'


@pytest.mark.parametrize('task', ['detect', 'segment', 'classify'])
def test_every_model_gives_a_config(task, boxes, outlines, folders, tmp_path):
    data = dict(detect=boxes, segment=outlines, classify=folders)[task]
    models = list_models(task)
    assert len(models) > 5
    for model in models:
        cfg = write(tmp_path, task, data, model)
        assert cfg.optim_wrapper.optimizer.lr > 0, model


def test_command(boxes, tmp_path):
    target = tmp_path / 'my.py'
    printed = run_tool('init_config.py', 'detect', boxes)
    assert printed.returncode == 0 and printed.stdout == init_config('detect', boxes)
    assert run_tool('init_config.py', 'detect', boxes, '--out', target).returncode == 0
    assert target.read_text() == printed.stdout
    assert_one_line_error(run_tool('init_config.py', 'detect', boxes, '--out', target), 'my.py', 'exists')


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (('detect', None, 'picodet_s_417'), "model 'picodet_s_417' is unknown for detect; did you mean picodet_s_41"),
        (('detect', None, 'yolo'), 'use one of'),
        (('detect', None, None, 100), 'input_size must be a multiple of 32, got 100; 96 is the nearest'),
        (('segment', None), 'was converted for detect, not for segment'),
        (('detect', 'missing'), 'has no dataset.json; make it with lcnet data convert'),
        (('count', None), "task 'count' is unknown"),
    ],
)
def test_wrong_choices(boxes, args, message):
    task, data, *rest = args
    with pytest.raises(UserError, match=message):
        init_config(task, data or boxes, *rest)
