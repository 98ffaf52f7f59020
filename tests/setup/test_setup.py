"""The tools of the set-up: which Python, which compiler, how far it is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SETUP = Path(__file__).parents[2] / 'tools' / 'setup'
GXX = shutil.which('g++')


@pytest.fixture
def tools(monkeypatch):
    """The folder of the set-up's tools on the path, as when one of them is run."""
    monkeypatch.syspath_prepend(str(SETUP))


def stub(folder: Path, name: str, version: str) -> None:
    """A program that says it is a Python of a version, or that does not start, as a shim of pyenv may."""
    if version:
        # preflight.py runs in the real Python, which is told the version to see.
        code = (
            f'import runpy, sys; sys.version_info = ({version}, 0); '
            'sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")'
        )
        script = f'#!/bin/sh\nexec {sys.executable} -c \'{code}\' "$@"\n'
    else:
        script = '#!/bin/sh\necho "pyenv: command not found" >&2\nexit 127\n'
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ('pythons', 'stack', 'found'),
    [
        ({'python3': '3, 11', 'python3.12': '3, 12'}, 'openmmlab', 'python3'),
        ({'python3': '3, 9', 'python3.12': '3, 12', 'python3.11': '3, 11'}, 'openmmlab', 'python3.12'),
        ({'python3': '3, 9', 'python3.12': '', 'python3.11': '3, 11'}, 'openmmlab', 'python3.11'),
        ({'python3': '3, 13', 'python3.12': '3, 12'}, 'openmmlab', 'python3.12'),
        ({'python3': '3, 13', 'python3.12': '3, 12'}, 'onedl', 'python3'),
        ({'python3': '3, 9'}, 'openmmlab', 'python3'),
    ],
)
def test_find_python(tmp_path, pythons, stack, found):
    for name, version in pythons.items():
        stub(tmp_path, name, version)
    for name in ('sh', 'dirname'):
        os.symlink(shutil.which(name), tmp_path / name)
    result = subprocess.run(
        [tmp_path / 'sh', SETUP / 'find_python.sh', stack],
        capture_output=True,
        text=True,
        env={'PATH': str(tmp_path)},
        check=True,
    )
    assert result.stdout.strip() == found


def test_an_old_python_is_refused_in_one_line(tmp_path):
    stub(tmp_path, 'python3', '3, 9')
    command = [tmp_path / 'python3', SETUP / 'preflight.py', tmp_path / '.venv', 'openmmlab']
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith('error: Python 3.11 to 3.12 is needed for STACK=openmmlab')
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ('devices', 'free', 'refused'),
    [
        ((1, 1), (12.1, 12.1), []),
        ((1, 1), (11.9, 11.9), ['venv has 11.9 GB free, the set-up needs 12 GB there; free some or set VENV']),
        ((1, 2), (8.1, 4.1), []),
        ((1, 2), (8.1, 1.0), ['temporary has 1.0 GB free, the set-up needs 4 GB there; free some or set TMPDIR']),
    ],
    ids=['one disk', 'one full disk', 'two disks', 'small temporary folder'],
)
def test_full_disks_are_refused_before_the_set_up(tools, tmp_path, monkeypatch, devices, free, refused):
    import preflight

    folders = [tmp_path / 'venv', tmp_path / 'temporary']
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(preflight.tempfile, 'gettempdir', lambda: str(folders[1]))
    facts = {str(folder): index for index, folder in enumerate(folders)}
    stat, usage = os.stat, shutil.disk_usage
    monkeypatch.setattr(
        preflight.os, 'stat', lambda path: SimpleNamespace(st_dev=devices[facts[path]]) if path in facts else stat(path)
    )
    monkeypatch.setattr(
        preflight.shutil, 'disk_usage', lambda path: usage(tmp_path)._replace(free=int(free[facts[path]] * 1e9))
    )
    problems = preflight.find_full_disks(str(folders[0] / 'new'))
    assert [problem.removeprefix(f'{tmp_path}/') for problem in problems] == refused


COMPILATION = (
    '-MMD -MF build/x.o.d -DNDEBUG -O3 -g0 -fPIC -Iinclude -c -c src/x.cpp -o build/x.o -std=c++17 '
    '-DTORCH_EXTENSION_NAME=_ext'
)


def test_header_flags_are_those_of_the_compilation(tools):
    from compiler import header_flags

    wanted = ['-DNDEBUG', '-O3', '-g0', '-fPIC', '-Iinclude', '-std=c++17', '-DTORCH_EXTENSION_NAME=_ext']
    assert header_flags(COMPILATION.split()) == wanted
    for other in ('-v', 'a.o b.o -shared -o c.so', '-c a.c -o a.o', '-c a.cpp b.cpp -o ab.o'):
        assert header_flags(other.split()) is None


@pytest.mark.skipif(GXX is None, reason='g++ is not installed')
@pytest.mark.parametrize('header', ['int answer();', '#error broken'], ids=['good', 'broken'])
def test_compiler_makes_the_header_once_and_compiles_with_or_without_it(tools, tmp_path, header):
    """A header that cannot be precompiled costs time, not the build."""
    from compiler import find_compiler, is_gcc, make_compiler

    command = find_compiler({'CXX': GXX})
    assert command == [GXX]
    assert is_gcc(command)
    folder, include = tmp_path / 'pch', tmp_path / 'include' / 'torch'
    folder.mkdir()
    include.mkdir(parents=True)
    (include / 'types.h').write_text(f'#pragma once\n{header}\n')
    environment = {**os.environ, **make_compiler(folder, command)}
    for name in ('one', 'two'):
        source, target = tmp_path / f'{name}.cpp', tmp_path / f'{name}.o'
        source.write_text('int value() { return 42; }\n')
        call = [environment['CXX'], f'-I{include.parent}', '-O1', '-c', str(source), '-o', str(target)]
        subprocess.run(call, env=environment, check=True, capture_output=True)
        assert target.stat().st_size > 0
    headers = list(folder.rglob('*.gch'))
    assert len(headers) == (header != '#error broken')
    wrong = subprocess.run(
        [environment['CXX'], '-c', str(tmp_path / 'no.cpp'), '-o', 'x.o'], env=environment, capture_output=True
    )
    assert wrong.returncode != 0


def test_other_compilers_get_no_header(tools, tmp_path):
    from compiler import is_gcc

    clang = tmp_path / 'clang++'
    clang.write_text('#!/bin/sh\necho "clang version 17.0.6" >&2\n')
    clang.chmod(0o755)
    assert not is_gcc([str(clang)])


def test_progress_counts_files_and_says_the_time_left(tools, tmp_path, monkeypatch, capsys):
    import install_mmcv

    clock = [0.0]
    monkeypatch.setattr(install_mmcv, 'LOG', tmp_path / 'log')
    monkeypatch.setattr(install_mmcv.time, 'monotonic', lambda: clock[0])
    progress = install_mmcv.Progress()
    for seconds, log in ((16, 'setting up'), (20, '[1/77] c++ a'), (60, '[1/77] c++ a\n[21/77] c++ b')):
        clock[0] = seconds
        (tmp_path / 'log').write_text(log)
        progress.show()
    assert capsys.readouterr().out.splitlines() == [
        '  compiling mmcv: preparing, 16 s',
        '  compiling mmcv: 21 of 77 files, 60 s, about 112 s left',
    ]
