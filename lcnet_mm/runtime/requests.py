"""Infer requests for calls from many threads, and in forked processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import openvino

from ..utils.openvino import openvino_core


class RequestPool:
    """Lend an infer request to each call that runs at the same time as others.

    A single call at a time runs on the model compiled for latency. A call that finds another one running takes a
    request of a second model, compiled at the first such call, which runs as many inferences side by side as there are
    cores for. Both compute the same values. A process that was forked has none of the threads of OpenVINO, so it
    compiles its own models.

    Args:
        model: The model.
        options: OpenVINO's compile options.
        threads: Threads of one inference; all cores by default.

    Raises:
        RuntimeError: OpenVINO cannot compile the model.
    """

    def __init__(self, model: openvino.Model, options: dict[str, Any], threads: int | None) -> None:
        self._model, self._options, self._threads = model, options, threads
        self._state = _Compiled(model, self._latency_options())

    @property
    def compiled(self) -> openvino.CompiledModel:
        """The model compiled for latency, in this process."""
        return self._current().latency

    def throughput(self) -> openvino.CompiledModel:
        """Return the model compiled for inferences side by side; the first call compiles it."""
        state = self._current()
        with state.lock:
            if state.throughput is None:
                state.throughput = openvino_core().compile_model(self._model, 'CPU', self._throughput_options())
            return state.throughput

    @contextmanager
    def request(self) -> Iterator[openvino.InferRequest]:
        """Lend a request that no other thread has."""
        state = self._current()
        # Taking from a list and adding to it are atomic.
        for idle in (state.first, state.others):
            try:
                request = idle.pop()
            except IndexError:
                continue
            break
        else:
            idle, request = state.others, self.throughput().create_infer_request()
        try:
            yield request
        finally:
            idle.append(request)

    def _current(self) -> _Compiled:
        """Return what was compiled in this process, compiling it in one that was forked."""
        if self._state.process != os.getpid():
            self._state = _Compiled(self._model, self._latency_options())
        return self._state

    def _latency_options(self) -> dict[str, Any]:
        return self._options if self._threads is None else {**self._options, 'INFERENCE_NUM_THREADS': self._threads}

    def _throughput_options(self) -> dict[str, Any]:
        options = {**self._options, 'PERFORMANCE_HINT': 'THROUGHPUT'}
        if self._threads is None:
            return options
        streams = max(1, len(os.sched_getaffinity(0)) // self._threads)
        return {**options, 'NUM_STREAMS': streams, 'INFERENCE_NUM_THREADS': streams * self._threads}


class _Compiled:
    """What one process has compiled.

    Attributes:
        process: Its id.
        latency: The model for single calls.
        throughput: The model for calls at the same time, or None before the first of these.
        lock: For compiling the latter.
        first: The request of ``latency``, while it is idle.
        others: The idle requests of ``throughput``.
    """

    def __init__(self, model: openvino.Model, options: dict[str, Any]) -> None:
        self.process = os.getpid()
        self.latency = openvino_core().compile_model(model, 'CPU', options)
        self.throughput: openvino.CompiledModel | None = None
        self.lock = Lock()
        self.first = [self.latency.create_infer_request()]
        self.others: list[openvino.InferRequest] = []
