"""Running the command of the runtime in this process."""

import contextlib
import hashlib
import io
import sys
from pathlib import Path
from unittest import mock

import pytest

from lcnet_mm.runtime import __main__ as command
from lcnet_mm.utils.errors import run_cli


def run(*args: object) -> tuple[int, str]:
    """Run the command in this process; returns its exit code and what it wrote to standard error."""
    errors = io.StringIO()
    with (
        mock.patch.object(sys, 'argv', ['runtime', *map(str, args)]),
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(io.StringIO()),
        pytest.raises(SystemExit) as end,
    ):
        run_cli(command.main)
    return end.value.code, errors.getvalue()


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of all files below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }
