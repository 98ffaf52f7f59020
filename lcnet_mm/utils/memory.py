"""Peak memory on the CPU, which PyTorch does not count."""

from __future__ import annotations

from pathlib import Path

_STATUS, _CLEAR = Path('/proc/self/status'), Path('/proc/self/clear_refs')


def resident(field: str) -> int:
    """Return the bytes of this process in memory: now (``VmRSS``) or at the peak (``VmHWM``)."""
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith(f'{field}:'))
    return int(line.split()[1]) * 1024


class PeakMemory:
    """Context that measures by how much the memory of the process grows at its peak, by Linux's counter.

    Memory that an allocator kept from before is not seen: measure the largest case first, or each in its own process.

    Attributes:
        added: Bytes at the peak minus those at the beginning; None if the system does not say.
    """

    added: int | None = None

    def __enter__(self) -> PeakMemory:
        try:
            # proc(5): writing 5 resets the peak to what is resident now.
            _CLEAR.write_text('5')
            self._before: int | None = resident('VmRSS')
        except OSError:
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            self.added = max(0, resident('VmHWM') - self._before)
