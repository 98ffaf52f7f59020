"""The latency tools as a user calls them; what they measure is not tested, only that they measure and say so."""

import argparse
import json

import pytest
from run_tool import assert_one_line_error, run_tool

from lcnet_mm.cli import benchmark
from lcnet_mm.latency.timing import BACKENDS, PRECISIONS

CONFIG = 'configs/picodet_like/lcnet_0.5x_coco.py'


def test_figures_and_mistakes(tmp_path):
    file = tmp_path / 'latency.json'
    result = run_tool('benchmark.py', CONFIG, '--threads', 1, '--rounds', 3, '--shape', 96, 96, '--json', file)
    report = json.loads(file.read_text())
    # On a busy machine the control may differ: then the run says that it is unreliable.
    assert result.returncode == (0 if report['reliable'] else 1), result.stderr
    assert ('control differs' in result.stderr) is not report['reliable']
    ours, control = report['latency']
    assert ours['name'] == CONFIG and 0 < ours['min'] <= ours['median'] and control['threads'] == 1
    assert report['machine']['cpu'] in result.stdout and CONFIG in result.stdout

    assert_one_line_error(run_tool('benchmark.py'), 'MODEL', '--suite')
    assert_one_line_error(run_tool('benchmark.py', 'none.py'), 'none.py', 'does not exist')
    assert_one_line_error(run_tool('benchmark.py', '--suite', 'all'), "'all'", 'paper-detection')
    assert_one_line_error(run_tool('benchmark.py', CONFIG, '--rounds', 0), '--rounds', '2')
    doctor = run_tool('benchmark.py', '--doctor')
    assert doctor.returncode == 0 and 'physical cores' in doctor.stdout and 'openvino' in doctor.stdout


@pytest.mark.parametrize(
    'arguments, ignored',
    [
        ([CONFIG], 'MODEL'),
        (['--suite', 'detectors'], '--suite'),
        (['--threads', 1], '--threads'),
        (['--shape', 96, 96], '--shape'),
        (['--layers'], '--layers'),
        (['--json', 'latency.json'], '--json'),
    ],
)
def test_the_doctor_measures_nothing(arguments, ignored):
    assert_one_line_error(run_tool('benchmark.py', *arguments, '--doctor'), '--doctor', f'{ignored} has no effect')


def test_choices_are_those_of_the_library():
    """They are written out in the command, so that its help does not wait for OpenVINO."""
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    choices = {action.dest: action.choices for action in parser._actions}
    assert (choices['backend'], choices['precision']) == (BACKENDS, PRECISIONS)


def test_training_benchmark(tmp_path):
    file = tmp_path / 'training.json'
    small = [CONFIG, '--boxes', 2, '--size', 64, '--batch-size', 1, '--steps', 1, '--threads', 1, '--json', file]
    result = run_tool('benchmark_training.py', *small, '--variants', 'default', 'channels-last')
    assert result.returncode == 0, result.stderr
    profiles = json.loads(file.read_text())
    assert list(profiles) == [f'{CONFIG}, default', f'{CONFIG}, channels-last']
    assert all(profile['batch_size'] == 1 and profile['steps'] == 1 for profile in profiles.values())
    assert '1 steps, 1 threads' in result.stdout
    result = run_tool('benchmark_training.py', *small, '--busy')
    assert result.returncode == 0 and 'with a busy process' in result.stdout, result.stderr
    (profile,) = json.loads(file.read_text()).values()
    assert profile['ratio'] > 0 and profile['quiet']['batch_size'] == 1


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--size', 64], ['--size 64 has no effect', 'boxes']),
        (['--boxes', 2, '--size', 8], ['--size must be at least 32, got 8']),
        (['--boxes', 0], ['--boxes must be at least 1, got 0']),
        (['--boxes', 2, '--steps', 0], ['--steps must be at least 1, got 0']),
        (['--boxes', 2, '--batch-size', 0], ['--batch-size must be at least 1, got 0']),
        (['--boxes', 2, '--epoch', -1], ['--epoch must be at least 0, got -1']),
        (['--threads', 0], ['--threads must be at least 1, got 0']),
        (['--boxes', 2, '--variants', 'fast'], ["variant 'fast' is unknown", 'channels-last']),
    ],
)
def test_mistakes_in_the_training_benchmark(arguments, words):
    assert_one_line_error(run_tool('benchmark_training.py', CONFIG, *arguments), *words)
