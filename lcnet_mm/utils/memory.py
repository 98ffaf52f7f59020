"""Peak memory of a piece of work on the CPU, which torch does not count."""

from __future__ import annotations

from pathlib import Path

STATUS, CLEAR = Path('/proc/self/status'), Path('/proc/self/clear_refs')


def resident(field: str) -> int:
    """Bytes of this process in memory: now (``VmRSS``) or at the peak (``VmHWM``)."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f'{field}:'))
    return int(line.split()[1]) * 1024


class PeakMemory:
    """Context in which the growth of the process at its peak is measured, from Linux's own counter.

    Memory that an allocator held already is not seen: measure the largest case first, or in a process of its own.

    Attributes:
        added: Bytes at the peak above those at the beginning; None where the system does not tell.
    """

    added: int | None = None

    def __enter__(self) -> PeakMemory:
        try:
            # proc(5): writing 5 resets the peak to what is resident now.
            CLEAR.write_text('5')
            self._before: int | None = resident('VmRSS')
        except OSError:
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            self.added = max(0, resident('VmHWM') - self._before)
