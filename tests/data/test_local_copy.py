"""Copies of the data of a config on another disk."""

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from mmengine.config import Config

from lcnet_mm.data.local_copy import copy_data
from lcnet_mm.utils.errors import UserError


def config(root, **more):
    """A detector's data in the folder ``root`` with a slash, as in the configs."""
    sets = {
        f'{split}_dataloader': dict(
            dataset=dict(
                type='CocoDataset', data_root=root, ann_file=f'annotations/{split}.json', data_prefix=dict(img=split)
            )
        )
        for split in ('train', 'val')
    }
    return Config(dict(**sets, val_evaluator=dict(type='CocoMetric', ann_file=f'{root}annotations/val.json')) | more)


@pytest.fixture
def data(tmp_path):
    """A data set beside which there is another folder, which is not needed."""
    root = tmp_path / 'network' / 'coco'
    for name in ('train/1.jpg', 'train/more/2.jpg', 'val/3.jpg', 'annotations/train.json', 'annotations/val.json'):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / 'other').mkdir()
    (root / 'other' / 'large.zip').write_text('not needed')
    return f'{root}/'


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob('*') if path.is_file())


def test_what_the_data_sets_read_is_copied_and_read_there(data, tmp_path):
    cfg = config(data)
    (line,) = copy_data(cfg, tmp_path / 'local', progress=False)
    copy = cfg.train_dataloader.dataset.data_root
    assert cfg.val_dataloader.dataset.data_root == copy and copy.startswith(f'{tmp_path}/local/coco-')
    assert names(copy) == [
        'annotations/train.json',
        'annotations/val.json',
        'train/1.jpg',
        'train/more/2.jpg',
        'val/3.jpg',
    ]
    assert cfg.val_evaluator.ann_file == f'{copy}annotations/val.json'
    assert Path(copy, 'val/3.jpg').read_text() == 'val/3.jpg'
    assert 'were copied to' in line and '(5 files, 0.0 MiB)' in line


def test_a_complete_copy_is_used_again_until_the_data_change(data, tmp_path, monkeypatch):
    cfg = config(data)
    copy_data(cfg, tmp_path / 'local', progress=False)
    copy = cfg.train_dataloader.dataset.data_root
    with monkeypatch.context() as patch:
        patch.setattr(shutil, 'copy2', lambda *_: pytest.fail('copied again'))
        again = config(data)
        (line,) = copy_data(again, tmp_path / 'local', progress=False)
    assert again.train_dataloader.dataset.data_root == copy
    assert 'are read from the copy' in line
    Path(data, 'val/3.jpg').write_text('another image')
    copy_data(config(data), tmp_path / 'local', progress=False)
    assert Path(copy, 'val/3.jpg').read_text() == 'another image'


def test_an_interrupted_copy_is_not_used(data, tmp_path, monkeypatch):
    copied, copy2 = [], shutil.copy2

    def stop(source, target):
        copied.append(source)
        if len(copied) == 3:
            raise OSError(28, os.strerror(28), str(target))
        copy2(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, 'copy2', stop)
        with pytest.raises(UserError, match=r'cannot be copied to .*local: .*No space left'):
            copy_data(config(data), tmp_path / 'local', progress=False)
    assert not list((tmp_path / 'local').glob('coco-*'))
    cfg = config(data)
    copy_data(cfg, tmp_path / 'local', progress=False)
    assert len(names(cfg.train_dataloader.dataset.data_root)) == 5


def test_a_data_set_with_a_list_is_copied_as_a_whole(data, tmp_path):
    dataset = dict(type='RepeatDataset', times=2, dataset=dict(type='ImageList', data_root=data, ann_file='list.txt'))
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    copy_data(cfg, tmp_path / 'local', progress=False)
    assert len(names(cfg.train_dataloader.dataset.dataset.data_root)) == 6


def test_mistakes_are_one_line(data, tmp_path, monkeypatch):
    cfg = config(data)
    cfg.train_dataloader.dataset.data_prefix.img = 'missing'
    with pytest.raises(UserError, match=r'coco/missing is missing'):
        copy_data(cfg, tmp_path / 'local', progress=False)
    cfg.train_dataloader.dataset.data_root = ''
    with pytest.raises(UserError, match=r'train_dataloader \(CocoDataset\) has none'):
        copy_data(cfg, tmp_path / 'local', progress=False)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: namedtuple('Usage', 'free')(10))
    with pytest.raises(UserError, match=r'local has 0.0 GiB of room, and the data of .*coco have 0.0 GiB'):
        copy_data(config(data), tmp_path / 'local', progress=False)
