"""What a busy process beside it does to a training step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from .training import TrainingBench, TrainingProfile

# Variables that decide how OpenMP's threads wait for each other.
WAITING = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')
# A stopped process has left its core after less than a time slice.
SETTLE_SECONDS = 0.05


class BusyProcess:
    """A process that computes on one core until the context is left; it starts paused."""

    def __enter__(self) -> BusyProcess:
        self._process = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
        self.pause()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Leave the core to others."""
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(SETTLE_SECONDS)

    def resume(self) -> None:
        """Compute again."""
        self._process.send_signal(signal.SIGCONT)
        time.sleep(SETTLE_SECONDS)


@dataclass(frozen=True)
class BusyProfile:
    """Training steps on a quiet machine, in turn with steps beside a busy process.

    Attributes:
        quiet: Steps without the busy process.
        busy: Steps beside it.
        waiting: The variables that decide how OpenMP's threads wait, as the process found them.
    """

    quiet: TrainingProfile
    busy: TrainingProfile
    waiting: dict[str, str]

    @property
    def ratio(self) -> float:
        """Median busy step in quiet steps."""
        return self.busy.step / self.quiet.step

    def to_dict(self) -> dict[str, Any]:
        """Return the medians as JSON types."""
        return dict(quiet=self.quiet.to_dict(), busy=self.busy.to_dict(), ratio=self.ratio, waiting=self.waiting)

    def format_table(self) -> str:
        """Format the medians as text."""
        waiting = ', '.join(f'{name}={value}' for name, value in self.waiting.items()) or "the OpenMP library's default"
        return '\n'.join(
            (
                f'waiting of threads    {waiting}',
                f'quiet step            {1e3 * self.quiet.step:8.1f} ms',
                f'beside a busy process {1e3 * self.busy.step:8.1f} ms  {self.ratio:.1f} x the quiet step',
            )
        )


def profile_busy(bench: TrainingBench, steps: int, warmup: int = 3) -> BusyProfile:
    """Train step by step, every other step beside a process that keeps one core busy.

    Args:
        bench: The detector that trains.
        steps: Steps of each kind that count.
        warmup: Quiet steps before, which do not count.
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
