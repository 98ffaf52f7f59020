"""A user's mistake, a full disk and a step that is not finite end a training with one line, and lose nothing."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from mmengine.fileio import LocalBackend
from run_tool import ROOT, assert_one_line_error, run_tool
from tiny_training import train, without_formatting, write_config, write_images

from lcnet_mm.apis import read_checkpoint, replay_step
from lcnet_mm.apis.train import newest_checkpoint
from lcnet_mm.engine import NonFiniteHook
from lcnet_mm.utils.errors import TRACEBACK_VARIABLE


@pytest.fixture(scope='module', autouse=True)
def quick():
    with without_formatting():
        yield


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tiny')
    write_images(folder / 'data' / 'train')
    return folder


@pytest.fixture(scope='module')
def config(folder):
    return write_config(folder, folder / 'data')


@pytest.fixture(scope='module')
def finished(config, folder):
    result = train(config, folder / 'finished')
    assert result.returncode == 0, result.stderr
    return folder / 'finished'


@pytest.fixture
def resumable(finished, tmp_path):
    """A copy of the finished run."""
    shutil.copytree(finished, tmp_path / 'run')
    return tmp_path / 'run'


def error_of(result) -> str:
    assert_one_line_error(result)
    return next(line for line in result.stderr.splitlines() if line.startswith('error: '))


def digests(folder) -> dict:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob('*') if path.is_file()}


def rates(work_dir) -> dict[int, float]:
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    entries = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return {entry['step']: entry['lr'] for entry in entries if 'lr' in entry}


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (
            {'train_cfg__max_epoch': 3},
            'train_cfg.max_epoch is unknown to EpochBasedTrainLoop; did you mean max_epochs?',
        ),
        ({'max_epochs': 3}, 'set train_cfg.max_epochs instead'),
        (
            {'model__backbone__widen_facto': 1},
            'model.backbone.widen_facto is unknown to PPLCNet; did you mean widen_factor?',
        ),
        ({'optim_wrapper__optimizer__lrr': 1}, 'optim_wrapper.optimizer.lrr is unknown to SGD; did you mean lr?'),
        ({'train_dataloder__batch_size': 1}, 'did you mean train_dataloader.batch_size?'),
        ({'optim_wrapper__optimizer__lr': -1}, 'optim_wrapper.optimizer.lr must be a number of at least 0, got -1'),
        ({'train_dataloader__batch_size': 0}, 'train_dataloader.batch_size must be an integer of at least 1, got 0'),
        ({'train_cfg__val_interval': 0}, 'train_cfg.val_interval must be an integer of at least 1, got 0'),
        ({'param_scheduler__0__end': 0}, 'param_scheduler.0.end must be an integer of at least 1, got 0'),
        ({'param_scheduler__7__end': 1}, 'param_scheduler.7.end=1 does not fit config'),
        (
            {'train_dataloader__batch_size': 64, 'train_dataloader__drop_last': True},
            '10 images are fewer than a batch of 64',
        ),
        ({'val_evaluator__topk': 5}, 'val_evaluator.topk asks for the best 5 of 2 classes'),
        ({'default_hooks__checkpoint__save_best': 'mIoU'}, 'it has accuracy/top1'),
        (
            {'val_evaluator__type': 'Acuracy'},
            'val_evaluator.type is Acuracy, which is not registered; did you mean Accuracy?',
        ),
        ({'optim_wrapper__optimizer__type': 'SGDD'}, 'did you mean SGD?'),
        ({'optim_wrapper__optimizer__type': 'Zzzzzz'}, 'optim_wrapper.optimizer.type is Zzzzzz'),
    ],
)
def test_mistakes_in_options(config, tmp_path, options, expected):
    assert expected in error_of(train(config, tmp_path / 'run', **options))


@pytest.mark.parametrize('text', ['a.b', '=1', 'a..b=1', 'a=[1,', 'a=dict(b=1)'])
def test_options_that_cannot_be_read(config, tmp_path, text):
    result = run_tool('train.py', config, '--work-dir', tmp_path / 'run', '--cfg-options', text)
    assert text.partition('=')[0] in error_of(result) and not (tmp_path / 'run').exists()


def test_a_variable_that_the_base_has_used(config, tmp_path):
    (tmp_path / 'mine.py').write_text(f"_base_ = '{config}'\npipeline = [dict(type='LoadImageFromFile')]\n")
    error = error_of(train(tmp_path / 'mine.py', tmp_path / 'run'))
    assert 'sets pipeline' in error and 'train_dataloader.dataset.pipeline' in error


def test_an_unreadable_image_is_named(folder, tmp_path):
    shutil.copytree(folder / 'data', tmp_path / 'data')
    # Its header is whole, so that the checks before the training pass.
    image = tmp_path / 'data' / 'train' / 'dark' / '2.png'
    image.write_bytes(image.read_bytes()[:45])
    config = write_config(tmp_path, tmp_path / 'data')
    workers = dict(train_dataloader__num_workers=1, train_dataloader__persistent_workers=True)
    for options in ({}, workers):
        assert 'dark/2.png' in error_of(train(config, tmp_path / 'run', **options))
    # Whoever needs to see where it happened finds it in the log.
    logs = list((tmp_path / 'run').glob('*/*.log'))
    assert logs and all('Traceback (most recent call last)' in log.read_text() for log in logs)


def test_no_worker_keeps_no_workers(config, tmp_path):
    """What one sets to find an error must not be an error itself."""
    options = dict(val_dataloader__persistent_workers=True, train_dataloader__persistent_workers=True)
    result = train(config, tmp_path / 'run', train_cfg__max_epochs=1, **options)
    assert result.returncode == 0, result.stderr


# Weights


def test_weights_that_do_not_fit(config, finished, tmp_path):
    start = {
        'load_from': finished / 'epoch_2.pth',
        'model__backbone__widen_factor': 0.35,
        'model__head__in_channels': 180,
    }
    error = error_of(train(config, tmp_path / 'run', **start))
    assert 'epoch_2.pth was made for another model' in error and '--allow-partial-weights' in error
    for arguments, more in ((['--allow-partial-weights'], {}), ([], {'allow_partial_weights': True})):
        result = train(config, tmp_path / 'run', *arguments, train_cfg__max_epochs=1, **start, **more)
        assert 'another shape' in result.stderr + result.stdout and 'partial-weights' not in error_lines(result)


def error_lines(result) -> str:
    return '\n'.join(line for line in result.stderr.splitlines() if line.startswith('error: '))


def test_pretrained_weights_load_as_a_whole(config, finished, tmp_path):
    init = 'model__backbone__init_cfg'
    given = {f'{init}__type': 'Pretrained', f'{init}__checkpoint': finished / 'epoch_2.pth'}
    error = error_of(train(config, tmp_path / 'run', **given))
    assert 'init_cfg of PPLCNet' in error and 'set init_cfg.prefix to that' in error and "'backbone.'" in error
    given[f'{init}__prefix'] = 'backbone.'
    error = error_of(
        train(config, tmp_path / 'run', model__backbone__widen_factor=0.5, model__head__in_channels=256, **given)
    )
    assert 'another shape' in error
    result = train(config, tmp_path / 'run', train_cfg__max_epochs=1, optim_wrapper__optimizer__lr=0.0, **given)
    assert result.returncode == 0, result.stderr
    old, new = (
        read_checkpoint(path)['state_dict'] for path in (finished / 'epoch_2.pth', tmp_path / 'run' / 'epoch_1.pth')
    )
    assert torch.equal(old['backbone.conv1.conv.weight'], new['backbone.conv1.conv.weight'])


def test_best_and_other_checkpoints_are_not_resumed(config, finished, tmp_path):
    best = next(finished.glob('best_*.pth'))
    assert 'it has weights, but no optimizer' in error_of(train(config, tmp_path / 'run', '--resume', best))
    model = dict(model__backbone__widen_factor=0.35, model__head__in_channels=180, train_cfg__max_epochs=4)
    error = error_of(train(config, tmp_path / 'run', '--resume', finished / 'epoch_1.pth', **model))
    assert 'another model' in error and 'partial' not in error
    other = write_config(
        tmp_path,
        config.parent / 'data',
        "optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', weight_decay=0))\n",
    )
    error = error_of(train(other, tmp_path / 'run', '--resume', finished / 'epoch_1.pth'))
    assert 'its optimizer is not Adam' in error


# Resuming


def test_a_finished_run_says_so_and_stays(config, resumable):
    before = digests(resumable)
    result = train(config, resumable, '--resume')
    assert result.returncode == 0 and 'is finished' in result.stdout and '2 of 2 epochs' in result.stdout
    assert 'train_cfg.max_epochs' in result.stdout and digests(resumable) == before


def test_a_longer_schedule_is_applied(config, finished, resumable):
    original = digests(finished)
    longer = dict(train_cfg__max_epochs=3, param_scheduler__0__T_max=3, param_scheduler__0__end=3)
    result = train(config, resumable, '--resume', **longer)
    assert result.returncode == 0, result.stderr
    assert 'param_scheduler.0.T_max 2 is now 3' in result.stdout + result.stderr
    assert digests(finished) == original
    # 0.1 (1 + cos(2/3 pi)) / 2, as if it had been so from the beginning.
    assert rates(resumable)[9] == pytest.approx(0.025, rel=1e-5) and rates(resumable)[6] == pytest.approx(
        0.05, rel=1e-5
    )


def test_a_longer_training_with_the_old_schedule_is_refused(config, resumable):
    error = error_of(train(config, resumable, '--resume', train_cfg__max_epochs=3))
    assert 'train_cfg.max_epochs is 3 instead of 2' in error and 'param_scheduler' in error


def test_another_rate_counts_on_resume(config, finished, tmp_path):
    result = train(config, tmp_path / 'run', '--resume', finished / 'epoch_1.pth', optim_wrapper__optimizer__lr=0.2)
    assert result.returncode == 0, result.stderr
    assert rates(tmp_path / 'run')[4] == pytest.approx(0.1, rel=1e-5)


def test_resuming_an_unchanged_run_changes_nothing(config, finished, tmp_path):
    result = train(config, tmp_path / 'run', '--resume', finished / 'epoch_1.pth')
    assert result.returncode == 0 and 'differs from that of the checkpoint' not in result.stdout + result.stderr
    assert rates(tmp_path / 'run')[4] == rates(finished)[4] == pytest.approx(0.05, rel=1e-5)


def test_a_checkpoint_to_resume_runs_no_code(config, resumable, tmp_path):
    checkpoint = torch.load(resumable / 'epoch_1.pth', weights_only=False)
    checkpoint['meta']['config'] = f"open({str(tmp_path / 'harmed')!r}, 'w')"
    torch.save(checkpoint, resumable / 'epoch_1.pth')
    result = train(config, tmp_path / 'run', '--resume', resumable / 'epoch_1.pth')
    assert result.returncode == 0 and not (tmp_path / 'harmed').exists()


def test_an_empty_pointer_is_no_loss(resumable):
    """As a kill or a full disk leaves it."""
    (resumable / 'last_checkpoint').write_text('')
    assert newest_checkpoint(resumable) == str(resumable / 'epoch_2.pth')


# Steps that are not finite


def test_a_loss_that_is_not_finite_stops_and_is_reproduced(config, tmp_path):
    result = train(config, tmp_path / 'run', data_preprocessor__std='[0.0,0.0,0.0]')
    error = error_of(result)
    assert 'step 1 (epoch 1): loss is nan' in error and '.png' in error and 'there is no checkpoint yet' in error
    (dump,) = (tmp_path / 'run').glob('nonfinite_step_*.pth')
    assert str(dump) in error
    replay = replay_step(dump)
    assert replay.losses['loss'] != replay.losses['loss'] and len(replay.files) == 4
    shown = run_tool('replay_step.py', dump)
    assert shown.returncode == 0 and 'backbone.conv1.conv' in shown.stdout


def test_weights_that_run_away_name_the_last_checkpoint(config, finished, tmp_path):
    """The first step after the checkpoint makes weights of 1e37, so that the second has no finite loss."""
    result = train(config, tmp_path / 'run', '--resume', finished / 'epoch_1.pth', optim_wrapper__optimizer__lr=1e37)
    error = error_of(result)
    assert 'step 5 (epoch 2)' in error or 'step 4 (epoch 2)' in error
    assert 'epoch_1.pth' in error


def test_a_replay_computes_the_losses_of_the_training(config, tmp_path, monkeypatch):
    """The dump has the weights from before the step, whatever the step has done."""
    seen = []
    original = NonFiniteHook.after_train_iter

    def stop_at_two(self, runner, batch_idx, data_batch=None, outputs=None):
        original(self, runner, batch_idx, data_batch, outputs)
        seen.append(float(outputs['loss']))
        if len(seen) == 2:
            self._stop('a test')

    monkeypatch.setattr(NonFiniteHook, 'after_train_iter', stop_at_two)
    assert 'a test' in error_of(train(config, tmp_path / 'run'))
    replay = replay_step(tmp_path / 'run' / 'nonfinite_step_2.pth')
    assert replay.losses['loss'] == pytest.approx(seen[1], rel=1e-6) and replay.recorded['loss'] == pytest.approx(
        seen[1]
    )
    assert replay.module is None and replay.gradient_norm > 0 and not replay.weights


def test_a_dump_that_is_none(tmp_path, finished):
    for name in (tmp_path / 'none.pth', finished / 'epoch_1.pth'):
        assert str(name) in error_of(run_tool('replay_step.py', name))


# Disks and processes


@pytest.mark.parametrize('kind', ['epoch_2.pth', 'best_'])
def test_a_full_disk_loses_nothing(config, tmp_path, monkeypatch, kind):
    put = LocalBackend.put

    def full(self, obj, filepath):
        if filepath.name.startswith(f'.{kind}'):
            filepath.write_bytes(obj[:100])
            raise OSError(errno.ENOSPC, 'No space left on device')
        put(self, obj, filepath)

    monkeypatch.setattr(LocalBackend, 'put', full)
    options = dict(default_hooks__checkpoint__max_keep_ckpts=1, train_cfg__max_epochs=2)
    error = error_of(train(config, tmp_path / 'run', **options))
    assert kind in error and 'No space left on device' in error and 'epoch_1.pth' in error
    left = {path.name for path in (tmp_path / 'run').iterdir() if path.suffix != '.py' and path.is_file()}
    assert left - {'last_checkpoint', 'curves.png'} == {'epoch_1.pth'} | (
        {'best_accuracy_top1_epoch_1.pth'} if kind == 'epoch_2.pth' else set()
    )
    monkeypatch.setattr(LocalBackend, 'put', put)
    result = train(config, tmp_path / 'run', '--resume')
    assert result.returncode == 0, result.stderr


def test_a_file_as_work_dir(config, tmp_path):
    (tmp_path / 'run').write_text('mine')
    assert str(tmp_path / 'run') in error_of(train(config, tmp_path / 'run'))
    assert (tmp_path / 'run').read_text() == 'mine'


def start(config, work_dir, *arguments):
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(config), '--work-dir', str(work_dir), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != TRACEBACK_VARIABLE}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_twenty_kills_and_resumes(config, tmp_path):
    """Whenever it is killed, what stands under a name is complete, and the training goes on."""
    options = [
        '--resume',
        '--cfg-options',
        'train_cfg.max_epochs=400',
        'param_scheduler.0.end=400',
        'param_scheduler.0.T_max=400',
        # At the rate of the config, a training this long diverges.
        'optim_wrapper.optimizer.lr=0.001',
    ]
    epochs = []
    for attempt in range(20):
        process = start(config, tmp_path / 'run', *options)
        begun = time.monotonic()
        before = newest_checkpoint(tmp_path / 'run') if (tmp_path / 'run').exists() else None
        while process.poll() is None and time.monotonic() - begun < 120:
            if (tmp_path / 'run').exists() and newest_checkpoint(tmp_path / 'run') != before:
                break
            time.sleep(0.05)
        # At another moment of an epoch each time.
        time.sleep(0.037 * attempt)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert 'error: ' not in errors, errors[-2000:]
        for path in (tmp_path / 'run').glob('*.pth'):
            read_checkpoint(path)
        epochs.append(read_checkpoint(newest_checkpoint(tmp_path / 'run'))['meta']['epoch'])
    assert epochs == sorted(epochs) and epochs[-1] >= 20


@pytest.mark.slow
def test_a_killed_process_of_two_is_one_line(config, tmp_path):
    command = [str(ROOT / 'tools' / 'dist_train.sh'), str(config), '2', '--work-dir', str(tmp_path / 'run')]
    # Five images for each process: the last batch would have one.
    options = [
        '--cfg-options',
        'train_dataloader.drop_last=True',
        'train_cfg.max_epochs=200',
        'param_scheduler.0.end=200',
        'param_scheduler.0.T_max=200',
    ]
    environment = {**os.environ, 'PYTHON': sys.executable, 'PORT': '29531', 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(
        command + options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    begun = time.monotonic()
    while process.poll() is None and not (tmp_path / 'run' / 'epoch_1.pth').exists() and time.monotonic() - begun < 180:
        time.sleep(0.1)
    children = subprocess.run(['pgrep', '-P', str(process.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(children[-1]), signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0 and 'Traceback' not in errors
    (line,) = [line for line in errors.splitlines() if line.startswith('error: ')]
    assert 'SIGKILL' in line and 'resumed' in line
    read_checkpoint(newest_checkpoint(tmp_path / 'run'))
