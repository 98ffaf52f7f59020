"""Timing in turn: every round times every call once, so that whatever slows down the machine affects all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

MIN_WARMUP = 10


@dataclass
class Latency:
    """The times of all calls of one network.

    Attributes:
        seconds: One number for each call.
    """

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median seconds."""
        return median(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return median, 90th percentile and minimum in milliseconds, and the number of calls, as JSON types."""
        p90 = quantiles(self.seconds, n=10)[-1] if len(self.seconds) > 1 else self.seconds[0]
        return dict(median=1e3 * self.median, p90=1e3 * p90, minimum=1e3 * min(self.seconds), calls=len(self.seconds))


def time_in_turn(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    warmup: int = MIN_WARMUP,
    progress: Callable[[], Any] = lambda: None,
) -> dict[str, Latency]:
    """Call functions in turn, in every round each one twice in a row, and time the second call.

    The first call fills the caches, which still hold the data of the function before. Without it, a small network took
    15 % longer after a large network than after itself.

    Args:
        calls: The functions by name.
        rounds: Number of rounds that are recorded.
        warmup: Number of rounds before them that are not.
        progress: Called after every round.

    Returns:
        The times of each function by name.
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
