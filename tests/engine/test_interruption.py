"""Ctrl-C during a training and an evaluation, and going on afterwards."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import tiny_training
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from run_tool import ROOT, forget_runs
from tiny_training import without_formatting, write_config, write_images

from lcnet_mm.apis import load_config, train
from lcnet_mm.engine import InterruptHook, TrainingInterrupted
from lcnet_mm.utils.checkpoint import read_checkpoint


@HOOKS.register_module()
class PressKeyHook(Hook):
    """Press Ctrl-C at a step of the training or of the evaluation, and note the images of every step."""

    def __init__(self, train_step=None, val_step=None, log=None):
        self.train_step, self.val_step, self.log = train_step, val_step, log

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        with open(self.log, 'a') as file:
            file.write(' '.join(sample.img_path for sample in data_batch['data_samples']) + '\n')
        if runner.iter + 1 == self.train_step:
            os.kill(os.getpid(), signal.SIGINT)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx + 1 == self.val_step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('config')
    write_images(folder / 'data' / 'train')
    # A rate that changes with every step.
    more = """
param_scheduler = [dict(type='CosineAnnealingLR', T_max=2, begin=0, end=2, by_epoch=True, convert_to_iter_based=True)]
custom_hooks = [dict(type='EMAHook', momentum=0.3)]
"""
    return write_config(folder, folder / 'data', more)


def run(config, work_dir, resume=None, options=None, **key):
    forget_runs()
    cfg = load_config(config, options)
    cfg.custom_hooks.append(dict(type='PressKeyHook', log=str(work_dir / 'images.txt'), **key))
    with without_formatting():
        return train(cfg, work_dir=work_dir, resume=resume)


@pytest.fixture(scope='module')
def whole(config, tmp_path_factory):
    """The work dir of a training that is not interrupted."""
    work_dir = tmp_path_factory.mktemp('whole')
    run(config, work_dir)
    return work_dir


def steps(work_dir):
    files = sorted(work_dir.glob('*/vis_data/scalars.json'), key=lambda file: file.stat().st_mtime_ns)
    entries = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [(entry['step'], pytest.approx(entry['lr'])) for entry in entries if 'loss' in entry]


def test_a_training_goes_on_in_the_middle_of_its_epoch(config, whole, tmp_path):
    with pytest.raises(TrainingInterrupted, match=r'interrupted after step 5; .*iter_5.pth has the state'):
        run(config, tmp_path, train_step=5)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_5.pth')
    meta = read_checkpoint(str(tmp_path / 'iter_5.pth'))['meta']
    assert (meta['epoch'], meta['iter']) == (1, 5)
    time.sleep(1)  # Runs are named by the second.
    runner = run(config, tmp_path, resume='auto')
    assert (runner.epoch, runner.iter) == (2, 6)
    # The same steps, rates and images as without the interruption.
    assert steps(tmp_path) == steps(whole)
    assert (tmp_path / 'images.txt').read_text() == (whole / 'images.txt').read_text()
    assert len((whole / 'images.txt').read_text().splitlines()) == 6
    assert read_checkpoint(str(tmp_path / 'epoch_2.pth'))['meta']['iter'] == 6


def test_an_epoch_of_another_length_begins_anew(config, tmp_path):
    with pytest.raises(TrainingInterrupted):
        run(config, tmp_path, train_step=2)
    time.sleep(1)
    options = {'train_dataloader.batch_size': 5, 'train_cfg.max_epochs': 1, 'param_scheduler': []}
    runner = run(config, tmp_path, resume='auto', options=options)
    assert runner.epoch == 1
    log = ' '.join(path.read_text() for path in tmp_path.glob('*/*.log'))
    assert 'Epoch 1 was interrupted after 2 of 3 batches, and now has 2: it begins anew.' in log


def test_an_interrupted_evaluation_needs_no_second_checkpoint(config, tmp_path):
    with pytest.raises(TrainingInterrupted, match=r'interrupted after step 3; .*epoch_1.pth has the state'):
        run(config, tmp_path, val_step=2)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']


def test_an_interrupted_evaluation_saves_the_weights_and_their_average(config, whole, tmp_path):
    with pytest.raises(TrainingInterrupted, match=r'iter_3.pth has the state'):
        run(config, tmp_path, options={'default_hooks.checkpoint.interval': 5}, val_step=1)
    saved, expected = (read_checkpoint(str(path)) for path in (tmp_path / 'iter_3.pth', whole / 'epoch_1.pth'))
    for name in ('state_dict', 'ema_state_dict'):
        for key, value in expected[name].items():
            assert torch.equal(saved[name][key], value), (name, key)
    weight = 'backbone.conv1.conv.weight'
    assert weight in saved['state_dict'] and not torch.equal(
        saved['state_dict'][weight], saved['ema_state_dict'][f'module.{weight}']
    )


def test_a_second_key_ends_at_once(monkeypatch):
    monkeypatch.delenv('TORCHELASTIC_RUN_ID', raising=False)
    with InterruptHook().listening():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    # torchrun passes on the key that all processes had already.
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    hook = InterruptHook()
    with hook.listening():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        hook._asked_at -= 2
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_command_says_how_to_go_on(config, tmp_path):
    key = f"dict(type='PressKeyHook', train_step=1, log='{tmp_path}/images.txt')"
    file = tmp_path / 'pressed.py'
    file.write_text(f"_base_ = '{config}'\ncustom_hooks = [{key}]\n")
    with without_formatting():
        result = tiny_training.train(file, tmp_path / 'work')
    assert result.returncode == 130
    assert result.stderr.splitlines()[-1] == (
        f'interrupted after step 1; {tmp_path}/work/iter_1.pth has the state, and the training can be resumed: repeat '
        'the command with --resume'
    )


def free_port() -> str:
    with socket.create_server(('127.0.0.1', 0)) as server:
        return str(server.getsockname()[1])


@pytest.mark.slow
def test_several_processes_with_workers_stop_after_the_same_step(config, tmp_path):
    work_dir = tmp_path / 'work'
    command = [str(ROOT / 'tools' / 'dist_train.sh'), str(config), '2', '--work-dir', str(work_dir)]
    options = ['train_cfg.max_epochs=1000', 'param_scheduler=[]', 'train_cfg.val_interval=1000']
    options += [
        'default_hooks.checkpoint.interval=1000',
        'train_dataloader.num_workers=1',
        'train_dataloader.batch_size=3',
    ]
    env = {**os.environ, 'PYTHON': sys.executable, 'PORT': free_port(), 'OMP_NUM_THREADS': '1'}
    settings = dict(env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    with subprocess.Popen([*command, '--cfg-options', *options], **settings) as process:
        for line in process.stdout:
            if 'Epoch(train)' in line:
                break
        # As the terminal does it: every process of the group gets the signal.
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    assert 'Traceback' not in errors
    (line,) = re.findall(r'^interrupted after step (\d+); .*repeat the command with --resume$', errors, re.MULTILINE)
    assert (work_dir / f'iter_{line}.pth').is_file()
    end = (int(line) + 1) // 2 + 2
    options[0] = f'train_cfg.max_epochs={end}'
    result = subprocess.run(
        [*command, '--resume', '--cfg-options', *options],
        # The system may hold the port of the first group for a while.
        env=env | dict(PORT=free_port()),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert (work_dir / f'epoch_{end}.pth').is_file()
