"""What is in the environment when torch is loaded, and who decides it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lcnet_launcher import BLOCK_TIME, SPIN_COUNT, WAITING, prepare_environment

ROOT = Path(__file__).parents[1]


def environment(**given: str) -> dict[str, str]:
    """This process's environment without what decides about waiting threads, and with what is given."""
    return {name: value for name, value in os.environ.items() if name not in WAITING} | given


def run(*command: str, **given: str) -> subprocess.CompletedProcess:
    result = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=ROOT, env=environment(**given), timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result


def test_threads_sleep_soon():
    found: dict[str, str] = {}
    prepare_environment(found)
    assert found == {'GOMP_SPINCOUNT': SPIN_COUNT, 'KMP_BLOCKTIME': BLOCK_TIME}


@pytest.mark.parametrize('name', WAITING)
def test_what_the_user_set_wins(name):
    found = {name: '77'}
    prepare_environment(found)
    assert found == {name: '77'}


@pytest.mark.parametrize(
    ('command', 'given', 'count'),
    [
        (['tools/complexity.py'], {}, SPIN_COUNT),
        (['-m', 'lcnet_mm', 'complexity'], {}, SPIN_COUNT),
        (['-m', 'lcnet_mm', 'complexity'], {'GOMP_SPINCOUNT': '77'}, '77'),
    ],
)
def test_openmp_of_a_command_has_read_it(command, given, count):
    """libgomp itself says what it has read; it does so whenever it is loaded, the last time counts."""
    errors = run(*command, 'configs/picodet_like/lcnet_0.5x_coco.py', OMP_DISPLAY_ENV='VERBOSE', **given).stderr
    assert re.findall(r"GOMP_SPINCOUNT = '(\d+)'", errors)[-1] == count


def test_importing_the_library_changes_nothing_but_the_registry():
    code = """
import os
from mmengine.runner import CheckpointLoader
from mmengine.fileio import backends
before = dict(os.environ), dict(CheckpointLoader._schemes), dict(backends.backends)
import lcnet_mm
assert (dict(os.environ), dict(CheckpointLoader._schemes), dict(backends.backends)) == before
"""
    run('-c', code)
