import json
import re

import cv2
import pytest

from lcnet_mm.demo import CONFIG, Demo, run_demo
from lcnet_mm.errors import UserError


def test_demo_trains_shows_and_is_not_repeated(tmp_path, digits, capsys, monkeypatch):
    import lcnet_mm.demo

    monkeypatch.setattr(
        lcnet_mm.demo, 'make_digits_dataset', lambda folder: folder == digits or pytest.fail('another folder')
    )
    options = {
        # Without a threshold an untrained net finds something to evaluate.
        'model.test_cfg.score_thr': 0.0,
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1,
        'train_dataloader.batch_size': 4,
        'train_dataloader.collate_fn.sizes': [96],
    }
    for split in ('train', 'val', 'test'):
        options |= {f'{split}_dataloader.num_workers': 0, f'{split}_dataloader.persistent_workers': False}
    demo = Demo(CONFIG, digits, tmp_path / 'work', options)
    summary = run_demo(demo)
    assert summary == json.loads((tmp_path / 'work' / 'summary.json').read_text())
    assert 0 <= summary['metrics']['bbox_mAP'] <= 1
    assert summary['epochs'] == 1 and summary['training_seconds'] >= 1
    assert cv2.imread(summary['picture']).shape == (320, 1280, 3)
    assert len(json.loads((tmp_path / 'work' / 'predictions' / 'predictions.json').read_text())['images']) == 4
    printed = capsys.readouterr().out
    assert re.search(r'mAP 0.50:0.95 +0\.\d{3}', printed) and 'summary.json' in printed

    assert summary['parity'] and (tmp_path / 'work' / 'deploy' / 'end2end.xml').is_file()
    assert min(summary['latency_milliseconds'].values()) > 0

    again = run_demo(demo)
    assert {**again, 'latency_milliseconds': None} == {**summary, 'latency_milliseconds': None}
    assert 'is complete' in capsys.readouterr().out


def test_foreign_data_folder_is_refused(tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'precious.txt').write_text('x')
    with pytest.raises(UserError, match='not empty'):
        run_demo(Demo(CONFIG, tmp_path / 'data', tmp_path / 'work', {}))
    assert not (tmp_path / 'work').exists()
