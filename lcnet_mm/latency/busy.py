"""Measure how much a busy process on the same machine slows down a training step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from lcnet_launcher import WAITING

from .training import TrainingBench, TrainingProfile

# A stopped process leaves its core within one time slice.
_SETTLE_SECONDS = 0.05


class BusyProcess:
    """Context with a process that keeps one core busy; it is paused at first and killed at the end."""

    def __enter__(self) -> BusyProcess:
        self._process = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
        self.pause()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Stop the process, so that its core is free."""
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(_SETTLE_SECONDS)

    def resume(self) -> None:
        """Let the process compute again."""
        self._process.send_signal(signal.SIGCONT)
        time.sleep(_SETTLE_SECONDS)


@dataclass(frozen=True)
class BusyProfile:
    """Training steps on a quiet machine, in turn with steps while a busy process runs.

    Attributes:
        quiet: Steps without the busy process.
        busy: Steps while it runs.
        waiting: The environment variables that are set and decide how OpenMP's threads wait.
    """

    quiet: TrainingProfile
    busy: TrainingProfile
    waiting: dict[str, str]

    @property
    def ratio(self) -> float:
        """Median time of a busy step divided by that of a quiet one."""
        return self.busy.step / self.quiet.step

    def to_dict(self) -> dict[str, Any]:
        """Return the medians as JSON types."""
        return dict(quiet=self.quiet.to_dict(), busy=self.busy.to_dict(), ratio=self.ratio, waiting=self.waiting)

    def format_table(self) -> str:
        """Return the medians as text."""
        waiting = ', '.join(f'{name}={value}' for name, value in self.waiting.items()) or "the OpenMP library's default"
        return '\n'.join(
            (
                f'waiting of threads    {waiting}',
                f'quiet step            {1e3 * self.quiet.step:8.1f} ms',
                f'with a busy process   {1e3 * self.busy.step:8.1f} ms  {self.ratio:.1f} x the quiet step',
            )
        )


def profile_busy(bench: TrainingBench, steps: int, warmup: int = 3) -> BusyProfile:
    """Train step by step, every other step while a process keeps one core busy.

    Args:
        bench: The detector to train.
        steps: Number of steps of each kind that are recorded.
        warmup: Number of quiet steps before them that are not.
    """
    profiles = TrainingProfile(bench.profile.batch_size), TrainingProfile(bench.profile.batch_size)
    for _ in range(warmup):
        bench.step(record=False)
    with BusyProcess() as process:
        for _ in range(steps):
            for profile, switch in zip(profiles, (process.pause, process.resume), strict=True):
                switch()
                bench.profile = profile
                bench.step(record=True)
    return BusyProfile(*profiles, {name: os.environ[name] for name in WAITING if name in os.environ})
