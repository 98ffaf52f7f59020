"""Training, resuming, evaluating and predicting with the COCO recipe on a folder laid out like COCO."""

import json
import os
import pickle
import re
import subprocess
import sys

import pytest
from run_tool import ROOT, assert_one_line_error, run_tool

RECIPE = ROOT / 'configs' / 'picodet_like' / 'lcnet_0.5x_coco.py'
SMALL = {
    # Without a threshold an untrained net finds something to evaluate.
    'model.test_cfg.score_thr': 0.0,
    'train_dataloader.batch_size': 4,
    'train_dataloader.collate_fn.sizes': '[96,128]',
    'train_cfg.max_epochs': 2,
    'train_cfg.val_interval': 1,
    'default_hooks.logger.interval': 1,
    **{f'{split}_dataloader.num_workers': 0 for split in ('train', 'val', 'test')},
    **{f'{split}_dataloader.persistent_workers': False for split in ('train', 'val', 'test')},
}


def options(**more) -> list[str]:
    """Overrides that make the recipe small enough to train on two cores in seconds."""
    return ['--cfg-options', *(f'{key}={value}' for key, value in (SMALL | more).items())]


@pytest.fixture(scope='module')
def config(digits, tmp_path_factory):
    """The COCO recipe on the digits, its own pipelines included."""
    path = tmp_path_factory.mktemp('config') / 'digits.py'
    dataset = f"dict(dataset=dict(data_root='{digits}/', metainfo=dict(classes=tuple('0123456789'))))"
    evaluator = f"dict(ann_file='{digits}/annotations/instances_val2017.json')"
    lines = [f"_base_ = '{RECIPE}'", 'model = dict(bbox_head=dict(num_classes=10))']
    lines += [f'{split}_dataloader = {dataset}' for split in ('train', 'val', 'test')]
    lines += [f'{split}_evaluator = {evaluator}' for split in ('val', 'test')]
    path.write_text('\n'.join(lines) + '\n')
    return path


@pytest.fixture(scope='module')
def trained(config, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('work')
    result = run_tool('train.py', config, '--work-dir', work_dir, *options())
    assert result.returncode == 0, result.stderr
    return work_dir, result.stdout + result.stderr


def scalars(work_dir) -> list[dict]:
    """Everything that was logged, run after run."""
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_recipe_trains_on_a_coco_folder(trained):
    work_dir, output = trained
    steps = [entry for entry in scalars(work_dir) if 'loss' in entry]
    assert len(steps) == 2 * 3
    for step in steps:
        assert step['loss'] == pytest.approx(step['loss_qfl'] + step['loss_bbox'] + step['loss_dfl'], rel=1e-4)
    # The rate follows the batch size: 0.4 * 4 / 512, times the start of the warm-up.
    assert steps[0]['lr'] == pytest.approx(0.1 * 0.4 * 4 / 512, rel=1e-3)
    assert re.search(r'Scaling the original LR by 0.0078125', output)
    assert {'epoch_1.pth', 'epoch_2.pth'} <= {path.name for path in work_dir.glob('*.pth')}
    assert list(work_dir.glob('best_coco_bbox_mAP_epoch_*.pth'))


def test_resume_goes_on(trained, config):
    work_dir, _ = trained
    result = run_tool('train.py', config, '--work-dir', work_dir, '--resume', *options(**{'train_cfg.max_epochs': 3}))
    assert result.returncode == 0, result.stderr
    assert 'resumed epoch: 2' in result.stdout + result.stderr
    steps = [entry['step'] for entry in scalars(work_dir) if 'loss' in entry]
    assert steps == list(range(1, 10))


def test_evaluation_and_predictions(trained, config, digits, tmp_path):
    work_dir, _ = trained
    checkpoint = work_dir / 'epoch_2.pth'
    result = run_tool('test.py', config, checkpoint, '--work-dir', tmp_path, '--out', tmp_path / 'all.pkl', *options())
    assert result.returncode == 0, result.stderr
    assert 'coco/bbox_mAP: ' in result.stdout + result.stderr
    with (tmp_path / 'all.pkl').open('rb') as file:
        assert len(pickle.load(file)) == 4
    result = run_tool(
        'predict.py',
        config,
        checkpoint,
        digits / 'val2017',
        '--out',
        tmp_path / 'out',
        '--score-thr',
        0,
        *options(),
    )
    assert result.returncode == 0, result.stderr
    assert '4 images drawn' in result.stdout
    assert len(json.loads((tmp_path / 'out' / 'predictions.json').read_text())['images']) == 4


def test_checkpoint_of_another_model(trained, config, tmp_path):
    result = run_tool(
        'test.py',
        config,
        trained[0] / 'epoch_2.pth',
        '--work-dir',
        tmp_path,
        *options(**{'model.backbone.widen_factor': 1.0, 'model.neck.in_channels': '[128,256,512]'}),
    )
    assert_one_line_error(result, 'epoch_2.pth', 'another model', 'another shape')


def test_two_processes_train(config, tmp_path):
    result = subprocess.run(
        [str(ROOT / 'tools' / 'dist_train.sh'), str(config), '2', '--work-dir', str(tmp_path)]
        + options(**{'train_cfg.max_epochs': 1, 'train_dataloader.batch_size': 2}),
        env={**os.environ, 'PYTHON': sys.executable, 'PORT': '29517', 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=500,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    steps = [entry for entry in scalars(tmp_path) if 'loss' in entry]
    assert len(steps) == 3
    # Twice the batch, twice the rate.
    assert steps[0]['lr'] == pytest.approx(0.1 * 0.4 * 4 / 512, rel=1e-3)


def test_amp_trains(config, tmp_path):
    result = run_tool('train.py', config, '--work-dir', tmp_path, '--amp', *options(**{'train_cfg.max_epochs': 1}))
    assert result.returncode == 0, result.stderr
    losses = [entry['loss'] for entry in scalars(tmp_path) if 'loss' in entry]
    assert len(losses) == 3 and all(0 < loss < 100 for loss in losses)


def test_mistakes_are_one_line(config, tmp_path):
    assert_one_line_error(run_tool('train.py', 'configs/nowhere.py'), 'configs/nowhere.py', 'does not exist')
    result = run_tool(
        'train.py', config, '--work-dir', tmp_path / 'a', '--cfg-options', 'train_dataloader.dataset.data_root=none/'
    )
    assert_one_line_error(result, 'annotations/instances_train2017.json is missing', 'none')
    result = run_tool('train.py', config, '--work-dir', tmp_path / 'b', *options(**{'model.backbone.type': 'PPLCNett'}))
    assert_one_line_error(result, 'PPLCNett')
    result = run_tool('train.py', config, '--work-dir', tmp_path / 'c', *options(**{'model.backbone.widen_factr': 1.0}))
    assert_one_line_error(result, 'widen_factr')
    (tmp_path / 'broken.pth').write_bytes(b'PK')
    result = run_tool('train.py', config, '--work-dir', tmp_path / 'd', '--resume', tmp_path / 'broken.pth', *options())
    assert_one_line_error(result, 'broken.pth')
