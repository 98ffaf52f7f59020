"""One model called from many threads, in forked and spawned processes, and on endless streams."""

import multiprocessing
import os
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny_exports import TASKS, equal, make_export, make_images

from lcnet_mm.runtime import load_model
from lcnet_mm.runtime.requests import RequestPool
from lcnet_mm.utils.errors import UserError

IMAGES = make_images()


@pytest.fixture(scope='module')
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp('exports')
    return {task: make_export(folder / task, task) for task in TASKS}


@pytest.mark.parametrize('threads', [1, None])
@pytest.mark.parametrize('task', TASKS)
def test_eight_threads_get_the_results_of_single_calls(task, threads, exports, monkeypatch):
    # As on a machine where several inferences run side by side.
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {0, 1, 2, 3})
    model = load_model(exports[task], threads)
    expected = [model(image) for image in IMAGES]
    assert not equal(expected[0], expected[1])

    def call(thread: int) -> int:
        order = [(thread + index) % len(IMAGES) for index in range(60)]
        return sum(equal(model(IMAGES[index]), expected[index]) for index in order)

    with ThreadPoolExecutor(8) as executor:
        assert list(executor.map(call, range(8))) == [60] * 8


def test_overlapping_calls_have_requests_of_their_own(exports, monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {0, 1, 2})
    model = load_model(exports['classification'], 1)
    pool: RequestPool = model._pool
    with pool.request() as first, pool.request() as second, pool.request() as third:
        assert len({id(request) for request in (first, second, third)}) == 3
    with pool.request() as again:
        assert again is first
    assert pool.throughput().get_property('NUM_STREAMS') <= 3


def test_inference_on_all_cores_takes_turns(exports):
    model = load_model(exports['classification'])
    with model._pool.request() as request, ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(model, IMAGES[0])
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.05)
        # The request that the other call waits for.
        request.infer([np.zeros((1, 64, 96, 3), np.uint8)])
        model._pool._state.turn.release()
        assert waiting.result(timeout=20).shape == (3,)
        model._pool._state.turn.acquire()


def run_in_child(model, connection) -> None:
    signal.alarm(60)
    connection.send([model(image) for image in IMAGES[:3]] + list(model.infer_many(IMAGES[:3], progress=False)))


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_other_processes(method, exports):
    # Models that were closed leave threads behind, which a forked process must not be given.
    for _ in range(2):
        closed = [load_model(exports['classification'], 1) for _ in range(2)]
        list(closed[0].infer_many(IMAGES[:3], progress=False))
        del closed
    model = load_model(exports['detection'], 1)
    expected = [model(image) for image in IMAGES[:3]]
    list(model.infer_many(IMAGES[:3], progress=False))
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=run_in_child, args=(model, theirs))
    process.start()
    try:
        assert ours.poll(60), 'the process hangs'
        found = ours.recv()
    finally:
        process.join(10)
        if process.is_alive():
            process.kill()
    assert process.exitcode == 0 and len(found) == 6
    assert all(equal(*pair) for pair in zip(found, expected + expected, strict=True))


def test_a_pickled_model_is_opened_again(exports):
    model = pickle.loads(pickle.dumps(load_model(exports['segmentation'], 1)))
    assert type(model).__name__ == 'Segmentor' and model._arguments[1] == 1
    assert equal(model(IMAGES[0]), load_model(exports['segmentation'])(IMAGES[0]))


def test_an_endless_stream(exports):
    model = load_model(exports['classification'], 1)
    expected = [model(image) for image in IMAGES]
    taken = 0

    def stream():
        nonlocal taken
        while True:
            taken += 1
            yield IMAGES[(taken - 1) % len(IMAGES)]

    results = model.infer_many(stream(), progress=False)
    limit = 2 * model._pool.throughput().get_property('OPTIMAL_NUMBER_OF_INFER_REQUESTS')
    for index in range(200):
        assert equal(next(results), expected[index % len(IMAGES)])
        assert taken - index <= limit
    results.close()
    assert taken <= 200 + limit


def test_errors_in_a_stream_stay_in_their_places(exports, tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'\x89PNG')
    model = load_model(exports['detection'], 1)

    def stream():
        yield IMAGES[0]
        yield tmp_path / 'broken.png'
        yield from [tmp_path / 'none.png'] * 50
        yield np.zeros((4, 4), np.float32)
        yield IMAGES[1]
        raise OSError('the camera was unplugged')

    # What came before the error of the source is not lost.
    results, found = model.infer_many(stream(), progress=False), []
    with pytest.raises(OSError, match='unplugged'):
        for result in results:
            found.append(result)
    assert len(found) == 54
    assert equal(found[0], model(IMAGES[0])) and equal(found[-1], model(IMAGES[1]))
    assert all(isinstance(result, UserError) for result in found[1:-1])
    assert 'broken.png cannot be decoded' in str(found[1]) and 'does not exist' in str(found[2])


@pytest.mark.parametrize('threads', [0, -1, 1.5, '2', True])
def test_wrong_numbers_of_threads(threads, exports):
    with pytest.raises(UserError, match='threads must be at least 1'):
        load_model(exports['classification'], threads)


def test_more_threads_than_there_are(exports):
    expected = load_model(exports['classification'])(IMAGES[0])
    assert equal(load_model(exports['classification'], 10**12)(IMAGES[0]), expected)
