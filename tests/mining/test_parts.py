"""Mining in several processes: each scores a part, and the list is that of one process."""

import json
import os
import subprocess
import sys
import threading
from unittest import mock

import pytest
import timm
import torch
from test_mining import Stopped, mine, random_image, teacher, write
from test_mining import images as images  # The fixture.

from lcnet_mm.mining import parts, run
from lcnet_mm.mining.pool import RECORD


class Group:
    """As many threads as processes, each of which has the functions of mmengine.dist."""

    def __init__(self, size):
        self.size, self.local, self.barrier, self.total = size, threading.local(), threading.Barrier(size), [0] * size

    def all_reduce(self, tensor):
        self.total[self.local.rank] = int(tensor)
        self.barrier.wait(60)
        tensor.fill_(sum(self.total))
        self.barrier.wait(60)

    def run(self, function):
        """Call the function with each rank, and return the results and the errors."""
        results, errors = [None] * self.size, []

        def call(rank):
            self.local.rank = rank
            try:
                results[rank] = function(rank)
            except Exception as error:
                errors.append(error)
                self.barrier.abort()

        given = dict(
            get_rank=lambda: self.local.rank,
            get_world_size=lambda: self.size,
            is_main_process=lambda: self.local.rank == 0,
            barrier=lambda: self.barrier.wait(60),
            all_reduce=self.all_reduce,
        )
        with (
            mock.patch.multiple(parts, **given),
            mock.patch.multiple(run, **{name: given[name] for name in ('barrier', 'is_main_process')}),
        ):
            threads = [threading.Thread(target=call, args=(rank,)) for rank in range(self.size)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return results, errors


@pytest.fixture(scope='module')
def whole(images, tmp_path_factory):
    """The work dir of one process."""
    folder = tmp_path_factory.mktemp('whole')
    mine(images, folder)
    return folder


def assert_same(folder, whole):
    assert (folder / 'out.txt').read_bytes() == (whole / 'out.txt').read_bytes()
    for name in ('pool.records', 'val.records'):
        assert (folder / 'work' / name).read_bytes() == (whole / 'work' / name).read_bytes()
    assert not list((folder / 'work').glob('*.records.*'))


@pytest.mark.parametrize('size', [2, 3])
def test_several_processes_give_the_list_of_one(images, whole, tmp_path, size):
    teachers = [teacher() for _ in range(size)]
    results, errors = Group(size).run(lambda rank: mine(images, tmp_path, teacher=teachers[rank]))
    assert not errors
    assert_same(tmp_path, whole)
    assert results[0].kept == 60 and results[0].pool['unreadable'] == 3 and results[1:] == [None] * (size - 1)


@pytest.mark.parametrize('then', [1, 2, 3])
def test_an_interrupted_group_is_continued_by_any_number(images, whole, tmp_path, then):
    teachers = [teacher(), teacher()]
    score, batches = teachers[1].score, []

    def stop(inputs):
        # The second process ends after 3 of its 10 batches.
        if len(batches) == 3:
            raise Stopped
        batches.append(len(inputs))
        return score(inputs)

    teachers[1].score = stop
    _, errors = Group(2).run(lambda rank: mine(images, tmp_path, teacher=teachers[rank]))
    assert any(isinstance(error, Stopped) for error in errors)
    # 315 images are 20 batches of 16.
    files = {path.name: path.stat().st_size // RECORD.itemsize for path in (tmp_path / 'work').glob('*.records.*')}
    assert files == {'pool.records.0-160': 160, 'pool.records.160-315': 48}
    if then == 1:
        report = mine(images, tmp_path)
    else:
        teachers = [teacher() for _ in range(then)]
        (report, *_), errors = Group(then).run(lambda rank: mine(images, tmp_path, teacher=teachers[rank]))
        assert not errors
    assert report.pool['resumed'] == 208
    assert_same(tmp_path, whole)


@pytest.mark.slow
def test_two_processes_of_torchrun_give_the_list_of_one(tmp_path):
    """The command itself, with a real group of two processes."""
    for name, count in (('pool', 40), ('val', 4)):
        for number in range(count):
            write(tmp_path / name / f'{number:02d}.png', random_image(len(name), number))
    command = ['mine', tmp_path / 'pool', '--timm', 'lcnet_050', '--val', tmp_path / 'val', '--top-k', '3']
    checkpoint = tmp_path / 'net.pth'
    torch.manual_seed(0)
    torch.save(timm.create_model('lcnet_050').state_dict(), checkpoint)
    command += ['--checkpoint', checkpoint, '--batch-size', '4', '--workers', '0']
    group = ['-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_port=29523']
    env = {**os.environ, 'OMP_NUM_THREADS': '1'}
    for name, start, more in (('one', [], []), ('two', group, ['--launcher', 'pytorch'])):
        out = ['--out', tmp_path / f'{name}.txt', '--work-dir', tmp_path / name, *more]
        arguments = [sys.executable, *start, '-m', 'lcnet_mm', *command, *out]
        result = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, env=env, timeout=300)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count('images are listed in') == 1
    assert (tmp_path / 'one.txt').read_text() == (tmp_path / 'two.txt').read_text() != ''
    assert json.loads((tmp_path / 'two.json').read_text())['pool']['size'] == 40
