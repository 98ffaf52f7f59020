"""Infer requests for calls from many threads, and in forked processes."""

from __future__ import annotations

import os
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from queue import LifoQueue
from threading import Lock
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as opset

from ..utils.openvino import openvino_core


class _ForkGuard:
    """Keep forked processes from waiting for threads of their parent.

    OpenVINO gives the threads of a model that was closed to the next one of the same options. In a forked process these
    threads are not there, and a model that is given them waits for ever. So while a process is forked, tiny models hold
    the threads of all models that were closed; the forked process keeps them, and the models of its parent, for good.
    """

    def __init__(self) -> None:
        # For each set of options, how many models are open, and how many were at most.
        self._open: Counter[str] = Counter()
        self._most: dict[str, tuple[int, dict[str, Any]]] = {}
        self._held: list[openvino.CompiledModel] = []
        os.register_at_fork(before=self._hold, after_in_parent=self._held.clear)

    def watch(self, compiled: openvino.CompiledModel, options: dict[str, Any]) -> None:
        """Count a model as open until it goes."""
        key = repr(sorted(options.items()))
        self._open[key] += 1
        self._most[key] = (max(self._open[key], self._most.get(key, (0, {}))[0]), options)
        weakref.finalize(compiled, self._open.subtract, [key])

    def _hold(self) -> None:
        missing = [(most - self._open[key], options) for key, (most, options) in self._most.items()]
        for options in (options for count, options in missing for _ in range(count)):
            value = opset.parameter([1], np.float32)
            tiny = openvino.Model([opset.result(opset.relu(value))], [value])
            self._held.append(openvino_core().compile_model(tiny, 'CPU', options))


_guard = _ForkGuard()


def _compile_model(model: openvino.Model, options: dict[str, Any]) -> openvino.CompiledModel:
    compiled = openvino_core().compile_model(model, 'CPU', options)
    _guard.watch(compiled, options)
    return compiled


class RequestPool:
    """Lend an infer request to each call, and no request to two calls at once.

    A call that runs alone has the request of a model compiled for latency. While calls overlap, they take requests of a
    second model, compiled at the first such call, which runs as many inferences side by side as there are cores for
    ``threads`` each; where that is one, they take turns. More at once would only make each of them slower. Reading,
    resizing and what follows the network are not held up in any case. Both models compute the same values.

    A process that was forked has none of OpenVINO's threads, so it compiles its own models.

    Args:
        model: The model.
        options: OpenVINO's compile options.
        threads: Threads of one inference; all cores by default.

    Raises:
        RuntimeError: OpenVINO cannot compile the model.
    """

    def __init__(self, model: openvino.Model, options: dict[str, Any], threads: int | None) -> None:
        self._model, self._options, self._threads = model, options, threads
        self._inherited: list[_Compiled] = []
        self._state = self._compile()

    @property
    def compiled(self) -> openvino.CompiledModel:
        """The model compiled for latency, in this process."""
        return self._current().latency

    def throughput(self) -> openvino.CompiledModel:
        """Return the model compiled for inferences side by side; the first call compiles it."""
        state = self._current()
        with state.compile_lock:
            if state.throughput is None:
                state.throughput = _compile_model(self._model, self._throughput_options())
                for _ in range(self._side_by_side()):
                    state.idle.put(state.throughput.create_infer_request())
            return state.throughput

    @contextmanager
    def request(self) -> Iterator[openvino.InferRequest]:
        """Lend a request, waiting for one while as many inferences run as there are cores for."""
        state = self._current()
        if self._side_by_side() == 1:
            with state.turn:
                yield state.single
            return
        with state.count_lock:
            # Nobody else runs, so that the request for single calls is idle.
            alone = state.running == 0
            state.running += 1
        try:
            if alone:
                yield state.single
                return
            self.throughput()
            request = state.idle.get()
            try:
                yield request
            finally:
                state.idle.put(request)
        finally:
            with state.count_lock:
                state.running -= 1

    def _current(self) -> _Compiled:
        """Return what was compiled in this process, compiling it in one that was forked."""
        if self._state.process != os.getpid():
            self._inherited.append(self._state)
            self._state = self._compile()
        return self._state

    def _compile(self) -> _Compiled:
        threads = {} if self._threads is None else dict(INFERENCE_NUM_THREADS=self._threads)
        return _Compiled(_compile_model(self._model, {**self._options, **threads}))

    def _side_by_side(self) -> int:
        """Return how many inferences there are cores for."""
        return 1 if self._threads is None else max(1, len(os.sched_getaffinity(0)) // self._threads)

    def _throughput_options(self) -> dict[str, Any]:
        options = {**self._options, 'PERFORMANCE_HINT': 'THROUGHPUT'}
        if self._threads is None:
            return options
        streams = self._side_by_side()
        return {**options, 'NUM_STREAMS': streams, 'INFERENCE_NUM_THREADS': streams * self._threads}


class _Compiled:
    """What one process has compiled.

    Attributes:
        process: Its id.
        latency: The model for single calls.
        single: Its request.
        turn: Held while ``single`` is used, where no second model is.
        running: Number of calls that run.
        count_lock: For ``running``.
        throughput: The model for calls at the same time, or None before the first of these.
        compile_lock: For compiling it.
        idle: Its idle requests.
    """

    def __init__(self, latency: openvino.CompiledModel) -> None:
        self.process = os.getpid()
        self.latency = latency
        self.single = latency.create_infer_request()
        self.turn = Lock()
        self.running = 0
        self.count_lock = Lock()
        self.throughput: openvino.CompiledModel | None = None
        self.compile_lock = Lock()
        self.idle: LifoQueue[openvino.InferRequest] = LifoQueue()
