"""Distillation from the command line: several processes, resuming, and the student in its own config."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from deploy_cases import save_random
from run_tool import ROOT, assert_one_line_error, run_tool

from lcnet_mm.apis import load_config, test, train
from lcnet_mm.demos import make_scans_dataset
from lcnet_mm.utils.models import build_model

CONFIG = """
_base_ = '{root}/configs/demo/ssld/ssld.py'
data_root = '{data}/'
load_from = '{student}'
model = dict(
    teacher_checkpoint='{teacher}',
    teacher_norms='eval',
    student=dict(backbone=dict(norm_eval=True), head=dict(dropout=0.0)),
)
lists = [
    dict(type='CustomDataset', data_root=data_root, data_prefix='train', ann_file='meta/labeled.txt',
         pipeline={{{{_base_.test_pipeline}}}}),
    dict(type='ImageList', data_root=data_root, data_prefix='train', ann_file='meta/unlabeled.txt',
         pipeline={{{{_base_.test_pipeline}}}}),
]
train_dataloader = dict(
    batch_size={batch}, num_workers=0, persistent_workers=False,
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=False),
    dataset=dict(datasets=lists),
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=1, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0),
)
param_scheduler = []
custom_hooks = [dict(type='UnreadableImagesHook')]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1))
"""


@pytest.fixture(scope='module')
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'scans'
    make_scans_dataset(folder, num_labeled=20)
    return folder


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    """Write random weights of a teacher and of a student, whose outputs depend on the image."""
    folder = tmp_path_factory.mktemp('weights')
    for name in ('labels', 'teacher'):
        path = save_random(load_config(f'configs/demo/ssld/{name}.py'), folder / f'{name}.pth')
        checkpoint = torch.load(path)
        # Confident enough for a loss and gradients well above the rounding.
        checkpoint['state_dict']['head.fc.weight'] *= 30
        torch.save(checkpoint, path)
    return folder / 'teacher.pth'


def write_config(folder: Path, scans: Path, teacher: Path, batch: int) -> Path:
    path = folder / f'ssld_{batch}.py'
    student = teacher.with_name('labels.pth')
    path.write_text(CONFIG.format(root=ROOT, data=scans, teacher=teacher, student=student, batch=batch))
    return path


def first_loss(work_dir: Path) -> float:
    (file,) = work_dir.glob('*/vis_data/scalars.json')
    return next(entry['loss_distill'] for entry in map(json.loads, file.read_text().splitlines()) if 'loss' in entry)


def test_two_processes_equal_one_with_twice_the_batch(scans, teacher, tmp_path):
    half, whole = (write_config(tmp_path, scans, teacher, batch) for batch in (8, 16))
    train(load_config(whole), work_dir=tmp_path / 'one')
    result = subprocess.run(
        [str(ROOT / 'tools' / 'dist_train.sh'), str(half), '2', '--work-dir', str(tmp_path / 'two')],
        env={**os.environ, 'PYTHON': sys.executable, 'PORT': '29519', 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=500,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert first_loss(tmp_path / 'one') > 0.1
    assert first_loss(tmp_path / 'two') == pytest.approx(first_loss(tmp_path / 'one'), rel=1e-5)
    one, two = (torch.load(tmp_path / name / 'iter_1.pth', weights_only=False)['state_dict'] for name in ('one', 'two'))
    student = build_model(load_config('configs/demo/ssld/labels.py'))
    # The student alone, under its own names.
    assert one.keys() == two.keys() == student.state_dict().keys()
    before = torch.load(teacher.with_name('labels.pth'))['state_dict']
    assert (one['head.fc.weight'] - before['head.fc.weight']).abs().max() > 1e-3
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-5, atol=1e-5)


def test_checkpoints_resume_and_are_those_of_the_student(scans, teacher, tmp_path):
    config = write_config(tmp_path, scans, teacher, 8)
    cfg = load_config(config)
    train(cfg, work_dir=tmp_path / 'work')
    longer = load_config(config, {'train_cfg.max_iters': 2})
    runner = train(longer, work_dir=tmp_path / 'work', resume='auto')
    assert runner.iter == 2
    checkpoint = tmp_path / 'work' / 'iter_2.pth'
    roots = {f'{split}_dataloader.dataset.data_root': f'{scans}/' for split in ('train', 'val', 'test')}
    as_student = test(load_config('configs/demo/ssld/labels.py', roots), checkpoint, work_dir=tmp_path / 'a')
    as_distiller = test(load_config(config), checkpoint, work_dir=tmp_path / 'b')
    assert as_student == as_distiller and 0 <= as_student['accuracy/top1'] <= 100


def test_mistakes_are_one_line(scans, teacher, tmp_path):
    config = write_config(tmp_path, scans, teacher, 8)
    run = ('train.py', config, '--work-dir', tmp_path / 'work', '--cfg-options')
    assert_one_line_error(run_tool(*run, 'model.teacher_checkpoint=none.pth'), 'the teacher', 'none.pth does not exist')
    assert_one_line_error(
        run_tool(*run, 'model.teacher.head.num_classes=7'), 'model.teacher.head.num_classes is 7', '10 classes'
    )
    assert_one_line_error(run_tool(*run, 'load_from=stage1.pth'), 'checkpoint stage1.pth does not exist')
    (tmp_path / 'empty.txt').write_text('')
    broken = tmp_path / 'broken.py'
    broken.write_text(config.read_text().replace('meta/unlabeled.txt', str(tmp_path / 'empty.txt')))
    result = run_tool('train.py', broken, '--work-dir', tmp_path / 'work')
    assert_one_line_error(result, 'empty.txt', 'empty')
