"""Running the command lines as a user does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_tool(name: str, *args: object, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Run ``tools/NAME`` and return its exit code, output and errors."""
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
