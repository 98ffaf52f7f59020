"""What a training shows: the bar on a terminal, curves, sample predictions, backends, early stopping."""

import json
import os
import pty
import re
import threading
from contextlib import redirect_stderr, redirect_stdout
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ
from unittest import mock

import cv2
import numpy as np
import pytest
import tiny_training
from mmengine.config import Config
from mmengine.logging import MessageHub
from run_tool import assert_one_line_error, forget_runs, run_tool
from tiny_training import without_formatting, write_config, write_images

from lcnet_mm.apis import load_config, train
from lcnet_mm.engine import PatienceHook
from lcnet_mm.engine.curves import draw_curves
from lcnet_mm.engine.patience import stop_early
from lcnet_mm.utils.errors import UserError


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    write_images(folder / 'train')
    return folder


@pytest.fixture(scope='module')
def config(data, tmp_path_factory):
    return write_config(tmp_path_factory.mktemp('config'), data)


def run(config: Path, work_dir: Path, options: dict | None = None, **arguments):
    """Train in this process, and return the runner."""
    forget_runs()
    with without_formatting():
        return train(load_config(config, options), work_dir=work_dir, **arguments)


@pytest.fixture(scope='module')
def watched(config, tmp_path_factory):
    """A training on a terminal of 100 columns: its work dir, its runner, and what the terminal got."""
    work_dir = tmp_path_factory.mktemp('work')
    master, slave = pty.openpty()
    ioctl(slave, TIOCSWINSZ, pack('HHHH', 24, 100, 0, 0))
    received = []

    def read():
        while True:
            try:
                received.append(os.read(master, 65536))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, 'w') as terminal, redirect_stdout(terminal), redirect_stderr(terminal):
        runner = run(config, work_dir)
        # What the loggers of mmengine keep.
        forget_runs()
    reader.join()
    os.close(master)
    return work_dir, runner, b''.join(received).decode()


def log_of(work_dir: Path) -> str:
    return next(work_dir.glob('*/*.log')).read_text()


def test_a_terminal_has_a_bar_and_the_log_file_the_steps(watched):
    work_dir, _, shown = watched
    bars = re.findall(r'epoch (\d)/2: +(\d+)%.*? (\d)/6 \[[\d:]+<([\d:?]+),.*?loss ([\d.]+), lr ([\d.e-]+)', shown)
    assert bars, shown[-2000:]
    epoch, percent, step, left, loss, rate = bars[-1]
    logged = json.loads((next(work_dir.glob('*/vis_data/scalars.json'))).read_text().splitlines()[-2])
    assert (epoch, percent, step, left) == ('2', '100', '6', '00:00') and logged['step'] == 6
    assert float(loss) == pytest.approx(logged['loss'], rel=1e-3) and float(rate) == pytest.approx(logged['lr'])
    # The metric of the first evaluation, from the second epoch on.
    assert re.search(r'epoch 2/2.*accuracy/top1 [\d.]+\]', shown)
    assert 'evaluation' in shown
    assert 'Epoch(train)' not in shown and 'The best checkpoint with' in shown
    assert len(re.findall(r'Epoch\(train\) +\[\d\]\[\d/3\]', log_of(work_dir))) == 6


def test_without_a_terminal_the_steps_are_plain_lines_and_a_drawing_that_fails_is_one(config, tmp_path):
    with without_formatting(), mock.patch('mmcv.imread', side_effect=ValueError('no image')):
        result = tiny_training.train(config, tmp_path, train_cfg__max_epochs=1)
    assert result.returncode == 0, result.stderr
    assert len(re.findall(r'Epoch\(train\) +\[1\]\[\d/3\]', result.stdout)) == 3
    assert '%|' not in result.stdout + result.stderr
    assert 'Sample predictions cannot be drawn: ValueError: no image' in log_of(tmp_path)


def test_curves_have_the_values_of_the_run(watched):
    work_dir, runner, _ = watched
    losses, rates, metrics = draw_curves(runner).axes
    scalars = [json.loads(line) for line in next(work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()]
    steps = [entry for entry in scalars if 'loss' in entry]
    (loss,) = (line for line in losses.lines if line.get_label() == 'loss')
    assert loss.get_xdata() == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])
    assert rates.lines[0].get_ydata() == pytest.approx([entry['lr'] for entry in steps])
    (accuracy,) = (line for line in metrics.lines if line.get_label() == 'accuracy/top1')
    assert list(accuracy.get_xdata()) == [1, 2]
    assert list(accuracy.get_ydata()) == [entry['accuracy/top1'] for entry in scalars if 'accuracy/top1' in entry]
    (best,) = (line for line in metrics.lines if line.get_label().startswith('best'))
    assert best.get_ydata()[0] == max(accuracy.get_ydata())
    image = cv2.imread(str(work_dir / 'curves.png'))
    # Three plots, each with a line of its own color.
    assert image.shape == (900, 800, 3) and len(np.unique(image.reshape(-1, 3), axis=0)) > 100


def test_the_same_images_are_drawn_at_each_evaluation(watched):
    names = sorted(path.name for path in watched[0].glob('*/vis_data/vis_image/*.png'))
    # Of bright/0 … bright/4, dark/0 … dark/4; images of one name and of two folders differ by their place only.
    assert {name.rpartition('_')[2] for name in names} == {'1.png', '2.png'}
    assert len(names) == 8 and len({name.rpartition('_')[0] for name in names}) == 4
    assert all(cv2.imread(str(path)).shape == (224, 224, 3) for path in watched[0].glob('*/vis_data/vis_image/*.png'))


def test_patience_stops_without_a_better_metric(config, tmp_path):
    # Nothing is learned with a rate of 0, so the first result is the best.
    still = {'optim_wrapper.optimizer.lr': 0.0, 'train_cfg.max_epochs': 9, 'param_scheduler': []}
    runner = run(config, tmp_path, still, patience=1)
    assert runner.epoch == 2
    assert 'did not improve in the last 1 records' in log_of(tmp_path)


def test_patience_counts_on_after_a_resume():
    runner = mock.Mock(message_hub=MessageHub('patience'))
    hook = PatienceHook(monitor='mIoU', patience=3, min_delta=1e-4)
    for value in (50.0, 40.0, 50.0):
        hook.after_val_epoch(runner, dict(mIoU=value))
    resumed = mock.Mock(message_hub=MessageHub('resumed'))
    resumed.message_hub.load_state_dict(runner.message_hub.state_dict())
    resumed.train_loop.stop_training = False
    hook = PatienceHook(monitor='mIoU', patience=3, min_delta=1e-4)
    hook.before_train(resumed)
    assert (hook.best_score, hook.wait_count) == (50.0, 2)
    hook.after_val_epoch(resumed, dict(mIoU=49.0))
    assert resumed.train_loop.stop_training is True


def test_an_evaluation_without_a_result_does_not_count():
    hook = PatienceHook(monitor='coco/bbox_mAP', patience=1, min_delta=1e-4)
    runner = mock.Mock()
    for metrics, waited in (({}, 0), ({'coco/bbox_mAP': 0.1}, 0), ({}, 0), ({'coco/bbox_mAP': 0.1}, 1)):
        hook.after_val_epoch(runner, metrics)
        assert hook.wait_count == waited
    assert runner.train_loop.stop_training is True


def test_patience_takes_the_place_of_what_the_config_has():
    cfg = Config(
        dict(
            default_hooks=dict(checkpoint=dict(save_best='mIoU')),
            custom_hooks=[dict(type='EMAHook'), dict(type='EarlyStoppingHook', monitor='mIoU', patience=9)],
        )
    )
    stop_early(cfg, 3)
    assert [hook.type for hook in cfg.custom_hooks] == ['EMAHook', 'PatienceHook']
    assert cfg.custom_hooks[1].patience == 3


def test_patience_needs_a_metric(config, tmp_path):
    with pytest.raises(UserError, match=r'save_best is None; name a metric'):
        run(config, tmp_path, {'default_hooks.checkpoint.save_best': None}, patience=3)
    with pytest.raises(UserError, match=r'patience must be at least 1, got 0'):
        run(config, tmp_path, patience=0)


def test_a_missing_backend_is_one_line_before_anything_starts(config, tmp_path):
    with mock.patch('lcnet_mm.engine.vis_backends.installed', return_value=False):
        result = run_tool('train.py', config, '--work-dir', tmp_path / 'work', '--vis', 'wandb')
    assert_one_line_error(result, '--vis wandb needs a package that is not installed: pip install wandb')
    assert not (tmp_path / 'work').exists()


def test_tensorboard_gets_scalars_and_images(config, tmp_path):
    reader = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    with without_formatting():
        result = tiny_training.train(config, tmp_path, '--tensorboard')
    assert result.returncode == 0, result.stderr
    (folder,) = {path.parent for path in tmp_path.rglob('events.out.*')}
    events = reader.EventAccumulator(str(folder), size_guidance=dict(images=0))
    events.Reload()
    assert [event.step for event in events.Scalars('loss')] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in events.Scalars('accuracy/top1')] == [1, 2]
    assert len(events.Tags()['images']) == 4
    assert all([event.step for event in events.Images(tag)] == [1, 2] for tag in events.Tags()['images'])
