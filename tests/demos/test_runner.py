"""The demos from data to summary, on a few images and a step or an epoch of training."""

import json
import re

import cv2
import pytest

import lcnet_mm.demos.runner
from lcnet_mm.demos.runner import Demo, run_demo
from lcnet_mm.utils.errors import UserError

LOADERS = {}
for split in ('train', 'val', 'test'):
    LOADERS |= {f'{split}_dataloader.num_workers': 0, f'{split}_dataloader.persistent_workers': False}


def check_run(demo, capsys, length, tile, images, proven=True):
    """Run a demo twice: the second time nothing is trained again. Returns the summary and the text."""
    summary = run_demo(demo)
    assert summary == json.loads((demo.work_dir / 'summary.json').read_text())
    assert summary[length] == 1 and summary['training_seconds'] >= 1
    width, height = tile
    assert cv2.imread(summary['image']).shape == (height, 4 * width, 3)
    assert len(json.loads((demo.work_dir / 'predictions' / 'predictions.json').read_text())['images']) == images
    # A detector after one epoch gives all points the same score: rounding decides what is kept, and nothing is proven.
    assert summary['parity'] is proven and (demo.work_dir / 'deploy' / 'end2end.xml').is_file()
    assert min(summary['latency_milliseconds'].values()) > 0
    printed = capsys.readouterr().out
    assert 'summary.json' in printed
    again = run_demo(demo)
    assert {**again, 'latency_milliseconds': None} == {**summary, 'latency_milliseconds': None}
    assert 'is complete' in capsys.readouterr().out
    return summary, printed


def test_detection_trains_shows_and_is_not_repeated(tmp_path, digits, capsys, monkeypatch):
    monkeypatch.setattr(
        lcnet_mm.demos.runner, 'make_digits_dataset', lambda folder: folder == digits or pytest.fail('another folder')
    )
    options = {
        **LOADERS,
        # Without a threshold an untrained net finds something to evaluate.
        'model.test_cfg.score_thr': 0.0,
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1,
        'train_dataloader.batch_size': 4,
        'train_dataloader.collate_fn.sizes': [96],
    }
    demo = Demo('detection', digits, tmp_path / 'work', options)
    summary, printed = check_run(demo, capsys, 'epochs', (320, 320), 4, proven=False)
    assert 0 <= summary['metrics']['bbox_mAP'] <= 1
    assert re.search(r'mAP 0.50:0.95 +0\.\d{3}', printed)


def test_segmentation_trains_shows_and_is_not_repeated(tmp_path, streets, capsys, monkeypatch):
    monkeypatch.setattr(
        lcnet_mm.demos.runner, 'make_streets_dataset', lambda folder: folder == streets or pytest.fail('another folder')
    )
    options = {
        **LOADERS,
        'train_cfg.max_iters': 1,
        'train_cfg.val_interval': 1,
        'train_dataloader.batch_size': 2,
        'default_hooks.checkpoint.interval': 1,
    }
    demo = Demo('segmentation', streets, tmp_path / 'work', options)
    summary, printed = check_run(demo, capsys, 'iters', (400, 200), 2)
    assert 0 <= summary['metrics']['mIoU'] <= 100 and 0 <= summary['metrics']['aAcc'] <= 100
    assert re.search(r'mIoU, % +\d+\.\d{3}', printed)


def test_foreign_data_folder_is_refused(tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'precious.txt').write_text('x')
    for task in ('detection', 'segmentation'):
        with pytest.raises(UserError, match='not empty'):
            run_demo(Demo(task, tmp_path / 'data', tmp_path / 'work', {}))
    assert not (tmp_path / 'work').exists()
