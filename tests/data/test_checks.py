"""Checks of the data that a config names, before anything is built."""

import json
import shutil
from pathlib import Path

import pytest

from lcnet_mm.apis import UserError, check_data, load_config

DEMO = 'configs/demo/lcnet_0.5x_digits.py'
COCO = 'configs/picodet_like/lcnet_1x_coco.py'


def options(root: Path) -> dict:
    return {f'{split}_dataloader.dataset.data_root': f'{root}/' for split in ('train', 'val', 'test')}


def test_good_data_pass(digits):
    check_data(load_config(DEMO, options(digits)), ('train', 'val', 'test'))


def test_missing_data_name_the_file_and_the_place(tmp_path):
    cfg = load_config(COCO, options(tmp_path))
    with pytest.raises(UserError) as caught:
        check_data(cfg, ('train',))
    message = str(caught.value)
    assert 'annotations/instances_train2017.json is missing' in message
    assert str(tmp_path) in message and 'train_dataloader.dataset.data_root' in message


def test_missing_image_folder(digits, tmp_path):
    shutil.copytree(digits, tmp_path / 'copy')
    shutil.rmtree(tmp_path / 'copy' / 'val2017')
    cfg = load_config(DEMO, options(tmp_path / 'copy'))
    check_data(cfg, ('train',))
    with pytest.raises(UserError, match='val data: val2017 is missing'):
        check_data(cfg, ('val',))


def test_classes_that_the_file_lacks(digits):
    with pytest.raises(UserError, match=r"no category 'person', 'bicycle'.*categories are '0', '1'"):
        check_data(load_config(COCO, options(digits)), ('train',))


def test_classes_in_another_order_would_be_permuted(digits):
    cfg = load_config(DEMO, options(digits))
    cfg.train_dataloader.dataset.metainfo.classes = tuple('1023456789')
    with pytest.raises(UserError, match=r"another order.*list them as '0', '1'"):
        check_data(cfg, ('train',))


def test_number_of_classes_and_string_classes(digits):
    cfg = load_config(DEMO, options(digits) | {'model.bbox_head.num_classes': 9})
    with pytest.raises(UserError, match=r'10 classes, model.bbox_head.num_classes is 9'):
        check_data(cfg, ('train',))
    cfg = load_config(DEMO, options(digits))
    cfg.train_dataloader.dataset.metainfo.classes = 'zero'
    with pytest.raises(UserError, match="the string 'zero'"):
        check_data(cfg, ('train',))


def test_truncated_annotations(digits, tmp_path):
    shutil.copytree(digits, tmp_path / 'copy')
    file = tmp_path / 'copy' / 'annotations' / 'instances_train2017.json'
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(UserError, match=r'instances_train2017\.json is not valid JSON'):
        check_data(load_config(DEMO, options(tmp_path / 'copy')), ('train',))


def test_wrapped_datasets_are_checked(digits, tmp_path):
    cfg = load_config(DEMO, options(digits))
    inner = cfg.train_dataloader.dataset
    missing = {**json.loads(json.dumps(inner.to_dict())), 'data_root': str(tmp_path)}
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[inner, missing])
    )
    with pytest.raises(UserError, match='is missing'):
        check_data(cfg, ('train',))
