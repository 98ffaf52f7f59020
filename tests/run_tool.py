"""Running the command lines as a user does."""

import io
import os
import re
import subprocess
import sys
import traceback
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

from lcnet_mm.cli import run_command

ROOT = Path(__file__).parents[1]
# What mmengine keeps for the whole process by name.
GLOBALS = (MMLogger, MessageHub, Visualizer, DefaultScope)


def forget_runs() -> None:
    """Forget mmengine's loggers, histories, visualizers and scopes, as a new process would."""
    for kind in GLOBALS:
        # Each class has its own: the visualizers of the mm libraries too.
        for part in (kind, *kind.__subclasses__()):
            part._instance_dict.clear()


def command_of(name: str) -> str | None:
    """The command that a file of ``tools/`` runs; None for one that is a program of its own."""
    found = re.findall(r"run_tool\('([\w-]+)'\)", (ROOT / 'tools' / name).read_text())
    return found[0] if found else None


def run_tool(name: str, *args: object, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Run what ``tools/NAME`` runs, in this process, and return its exit code, output and errors.

    A process of its own would import torch and the mm packages again, which takes longer than most commands.
    """
    command = command_of(name)
    if command is None:
        return run_tool_process(name, *args, cwd=cwd)
    output, errors, threads = io.StringIO(), io.StringIO(), torch.get_num_threads()
    forget_runs()
    with chdir(cwd), mock.patch.dict(os.environ), redirect_stdout(output), redirect_stderr(errors):
        try:
            run_command(command, list(map(str, args)), f'python tools/{name}')
        except SystemExit as end:
            code = end.code or 0
        except Exception:
            traceback.print_exc()
            code = 1
        finally:
            torch.set_num_threads(threads)
            forget_runs()
    return subprocess.CompletedProcess([name, *args], code, output.getvalue(), errors.getvalue())


def run_tool_process(name: str, *args: object, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Run ``tools/NAME`` in a process of its own, for what only such a one shows: exit codes, signals, imports."""
    command = [sys.executable, str(ROOT / 'tools' / name), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=500)


def assert_one_line_error(result: subprocess.CompletedProcess, *words: str) -> None:
    """The tool failed as a user's mistake should: non-zero, one line that says all these words, no traceback."""
    assert result.returncode != 0, result.stdout
    assert 'Traceback' not in result.stderr, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1, result.stderr
    for word in words:
        assert word in errors[0]
