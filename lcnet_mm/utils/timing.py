"""Timing in turn: every round times every call once, so that what slows the machine slows them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

MIN_WARMUP = 10


@dataclass
class Latency:
    """Seconds of every call of one network."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median seconds."""
        return median(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Milliseconds as JSON types."""
        p90 = quantiles(self.seconds, n=10)[-1] if len(self.seconds) > 1 else self.seconds[0]
        return dict(median=1e3 * self.median, p90=1e3 * p90, minimum=1e3 * min(self.seconds), calls=len(self.seconds))


def time_in_turn(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    warmup: int = MIN_WARMUP,
    progress: Callable[[], Any] = lambda: None,
) -> dict[str, Latency]:
    """Call functions in turn, each one twice in a row, of which the second call counts.

    The first one fills the caches, which hold what ran before: without it a small network after a large one took 15 %
    longer than after itself.

    Args:
        calls: By name.
        rounds: Calls of each that count.
        warmup: Calls of each before, which do not.
        progress: Called after every round.
    """
    results = {name: Latency() for name in calls}
    for index in range(warmup + rounds):
        for name, call in calls.items():
            call()
            start = time.perf_counter()
            call()
            if index >= warmup:
                results[name].seconds.append(time.perf_counter() - start)
        progress()
    return results
