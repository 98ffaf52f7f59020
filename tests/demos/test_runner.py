"""The demos from data to summary, on a few images and a step or an epoch of training."""

import ast
import json
import re
from pathlib import Path

import cv2
import pytest

import lcnet_mm.demos.runner
from lcnet_mm.apis.records import record_config
from lcnet_mm.demos import TASKS, Demo, run_demo
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


def trained_elsewhere(demo, record=True):
    """Put a checkpoint into the work dir of a demo, as a training of its config leaves it."""
    if record:
        record_config(demo.work_dir, demo.load())
    demo.work_dir.mkdir(exist_ok=True)
    (demo.work_dir / 'epoch_26.pth').write_bytes(b'')
    (demo.work_dir / 'last_checkpoint').write_text(str(demo.work_dir / 'epoch_26.pth'))


@pytest.mark.parametrize(
    'change, reason',
    [
        (dict(options={'train_cfg.max_epochs': 2}), 'train_cfg.max_epochs changed from 26 to 2'),
        (dict(options={'model.bbox_head.num_classes': 3}), 'model.bbox_head.num_classes changed from 10 to 3'),
        (dict(data_dir='elsewhere'), r"data_root changed from '.*data/' to '.*elsewhere/' \(\d more changed\)"),
        (dict(config='configs/picodet_like/picodet_xs_320_coco.py'), r'changed from .* \(\d+ more changed\)'),
    ],
)
def test_the_training_of_another_config_is_not_taken_for_this_one(tmp_path, change, reason):
    folders = dict(data_dir=tmp_path / 'data', work_dir=tmp_path / 'work')
    trained_elsewhere(Demo('detection', **folders))
    if 'data_dir' in change:
        change = dict(data_dir=tmp_path / change['data_dir'])
    with pytest.raises(UserError, match=rf'work holds another training: .*{reason}; choose another work_dir'):
        run_demo(Demo('detection', **{**folders, **change}))
    assert [path.name for path in tmp_path.iterdir()] == ['work']


def test_a_training_without_a_record_of_its_config_is_refused(tmp_path):
    demo = Demo('detection', tmp_path / 'data', tmp_path / 'work')
    trained_elsewhere(demo, record=False)
    with pytest.raises(UserError, match=r'it has no config\.json .* delete this one'):
        run_demo(demo)
    assert [path.name for path in tmp_path.iterdir()] == ['work']


def test_tasks():
    assert TASKS == ('detection', 'segmentation')
    assert Demo('segmentation').work_dir.as_posix() == 'work_dirs/demo_seg'
    with pytest.raises(UserError, match="task 'pose' is unknown; there are detection, segmentation"):
        Demo('pose')


def test_values_of_the_summary_stand_in_one_column():
    summary = dict(
        metrics={'mIoU': 63.37, 'aAcc': 90.55},
        training_seconds=500,
        iters=1000,
        threads=2,
        checkpoint='work/iter_1000.pth',
        image='work/demo.jpg',
        predictions='work/predictions/predictions.json',
        export='work/deploy',
        parity=True,
        latency_milliseconds={'1': 27.1, '2': 14.1},
    )
    text = lcnet_mm.demos.runner._format_summary(summary, Path('work/summary.json'))
    assert (
        text
        == """
  mIoU, %          63.370
  pixels right, %  90.550
  training         1000 iterations in 8 min 20 s on 2 threads
  checkpoint       work/iter_1000.pth
  image            work/demo.jpg
  predictions      work/predictions/predictions.json
  OpenVINO         work/deploy; the same results: yes
  latency          27.1 ms (1 threads), 14.1 ms (2 threads) from image to result
  this summary     work/summary.json
"""
    )


def test_seconds_of_an_interrupted_training_count(tmp_path):
    file = tmp_path / 'seconds.json'
    file.write_text('100')
    with pytest.raises(KeyboardInterrupt), lcnet_mm.demos.runner._add_seconds(file):
        raise KeyboardInterrupt
    assert 100 < json.loads(file.read_text()) < 101


def test_importing_the_data_sets_imports_no_demo():
    """Training and export need all mm packages, drawing needs none."""
    path = Path(lcnet_mm.demos.runner.__file__).with_name('__init__.py')
    imported = [node.module for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
    assert {'digits', 'scans', 'streets'} <= set(imported) and 'runner' not in imported
