"""Batches, with a model of NumPy that writes down what it was given."""

import asyncio
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")

from deblur_zoo.serving.server.batching import Batcher  # noqa: E402
from deblur_zoo.serving.server.errors import ServingError  # noqa: E402
from deblur_zoo.serving.server.settings import Batching  # noqa: E402

TWICE = SimpleNamespace(name="twice", batchable=True)
OTHER = SimpleNamespace(name="other", batchable=True)
ALONE = SimpleNamespace(name="alone", batchable=False)
# Long enough that what is sent together is put together on a busy machine too.
PATIENT = Batching(max_batch_size=8, timeout_s=0.3)


class Model:
    """Doubles; refuses negative numbers; waits while its gate is closed."""

    def __init__(self):
        self.calls, self.gate = [], threading.Event()
        self.gate.set()

    def run(self, signature, arrays):
        self.calls.append((signature, arrays["x"].tolist()))
        assert self.gate.wait(20)
        if (arrays["x"] < 0).any():
            raise ValueError("negative")
        return {"y": 2 * arrays["x"]}


def run(main, options=PATIENT, max_queued=100, max_pixels=10**6):
    """Run ``await main(batcher, send)``; ``send(model, numbers, ...)`` is a request."""
    batches = []
    batcher = Batcher(options, max_queued, max_pixels, lambda tasks, rows: batches.append(rows))

    def send(model, numbers, signature=TWICE, pixels=1, timeout=None):
        deadline = None if timeout is None else time.monotonic() + timeout
        return batcher.run(model, signature, {"x": np.array(numbers)}, pixels, deadline)

    try:
        return asyncio.run(main(batcher, send)), batches
    finally:
        batcher.close()


def test_requests_share_a_batch_and_get_their_own_answers():
    model = Model()

    async def main(batcher, send):
        return await asyncio.gather(send(model, [1, 2]), send(model, [3]), send(model, [4, 5, 6]))

    answers, batches = run(main)
    assert [answer["y"].tolist() for answer in answers] == [[2, 4], [6], [8, 10, 12]]
    assert model.calls == [("twice", [1, 2, 3, 4, 5, 6])] and batches == [6]


def test_a_full_batch_does_not_wait_and_nothing_is_split():
    """3 + 3 rows fit into 8, 9 do not; the last goes when its time is up."""
    model = Model()

    async def main(batcher, send):
        started = time.monotonic()
        requests = [asyncio.ensure_future(send(model, [number] * 3)) for number in range(5)]
        await asyncio.wait(requests[:4])
        return time.monotonic() - started

    elapsed, batches = run(main, Batching(max_batch_size=8, timeout_s=5))
    # The fifth, alone, is run when the batcher closes.
    assert elapsed < 4 and [len(numbers) for _, numbers in model.calls][:2] == [6, 6]


def test_kinds_do_not_mix():
    """Another version, signature, size or type of the pictures is another batch."""
    first, second = Model(), Model()

    async def main(batcher, send):
        await asyncio.gather(
            send(first, [1]),
            send(second, [2]),
            send(first, [3], OTHER),
            send(first, [[4, 4]]),
            send(first, [5.0]),
            send(first, [6]),
        )

    run(main)
    assert sorted(map(str, first.calls)) == sorted(
        map(str, [("twice", [1, 6]), ("other", [3]), ("twice", [[4, 4]]), ("twice", [5.0])])
    )
    assert second.calls == [("twice", [2])]


def test_a_bad_request_fails_alone():
    model = Model()

    async def main(batcher, send):
        return await asyncio.gather(send(model, [1]), send(model, [-1]), send(model, [3]), return_exceptions=True)

    (first, bad, last), _ = run(main)
    assert first["y"].tolist() == [2] and last["y"].tolist() == [6]
    assert isinstance(bad, ServingError) and (bad.code, bad.message) == ("INVALID_ARGUMENT", "negative")
    assert model.calls[0] == ("twice", [1, -1, 3])


@pytest.mark.parametrize(
    "options, signature, pixels, calls",
    [
        (Batching(enabled=False, timeout_s=0.3), TWICE, 1, 3),
        (PATIENT, ALONE, 1, 3),
        (PATIENT, TWICE, 5, 2),
        (PATIENT, TWICE, 4, 1),
    ],
)
def test_what_keeps_requests_apart(options, signature, pixels, calls):
    """Batching switched off, a signature without a first axis to join, and more than 12 pixels together."""
    model = Model()

    async def main(batcher, send):
        await asyncio.gather(*(send(model, [number], signature, pixels) for number in range(3)))

    run(main, options, max_pixels=12)
    assert len(model.calls) == calls


def test_a_request_that_is_larger_than_a_batch():
    async def main(batcher, send):
        with pytest.raises(ServingError, match="Task size 9 is larger than maximum input batch size 8") as caught:
            await send(Model(), [0] * 9)
        return caught.value.code

    assert run(main)[0] == "INVALID_ARGUMENT"
    assert run(lambda batcher, send: send(Model(), [1] * 9), Batching(False, 8))[0]["y"].tolist() == [2] * 9


def occupied(model, send):
    """Start a request that holds the only thread until the gate opens."""
    model.gate.clear()
    request = asyncio.ensure_future(send(model, [0], OTHER))
    return request


async def until(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to pass")


def test_a_full_queue_refuses_at_once():
    model = Model()

    async def main(batcher, send):
        first = occupied(model, send)
        await until(lambda: model.calls)
        waiting = [asyncio.ensure_future(send(model, [number])) for number in (1, 2)]
        await until(lambda: batcher.waiting == 2)
        started = time.monotonic()
        with pytest.raises(ServingError, match="queue to which this task was submitted is full") as caught:
            await send(model, [3])
        elapsed = time.monotonic() - started
        model.gate.set()
        answers = await asyncio.gather(first, *waiting)
        return caught.value.code, elapsed, [answer["y"].tolist() for answer in answers]

    (code, elapsed, answers), _ = run(main, max_queued=2)
    assert code == "UNAVAILABLE" and elapsed < 1 and answers == [[0], [2], [4]]


def test_what_nobody_waits_for_is_not_computed():
    """A client that has gone, and a deadline that passed; both leave the queue at once."""
    model = Model()

    async def main(batcher, send):
        first = occupied(model, send)
        await until(lambda: model.calls)
        gone = asyncio.ensure_future(send(model, [1]))
        with pytest.raises(ServingError) as caught:
            await send(model, [2], timeout=0.05)
        await until(lambda: batcher.waiting == 1)
        gone.cancel()
        await until(lambda: batcher.waiting == 0)
        model.gate.set()
        await first
        await send(model, [3])
        return caught.value.code

    assert run(main)[0] == "DEADLINE_EXCEEDED"
    assert model.calls == [("other", [0]), ("twice", [3])]


def test_a_failed_batch_is_not_run_again_for_those_who_left():
    model = Model()

    async def main(batcher, send):
        model.gate.clear()
        bad, late = asyncio.ensure_future(send(model, [-1])), asyncio.ensure_future(send(model, [2], timeout=1))
        await asyncio.wait([late])
        model.gate.set()
        await asyncio.wait([bad])

    run(main)
    assert model.calls == [("twice", [-1, 2]), ("twice", [-1])]


def test_a_fault_of_the_server_answers_and_does_not_end_the_thread():
    def broken(tasks, rows):
        raise RuntimeError("a bug")

    async def main():
        batcher = Batcher(PATIENT, 100, 100, broken)
        try:
            for _ in range(2):
                with pytest.raises(ServingError, match="Internal error"):
                    await batcher.run(Model(), TWICE, {"x": np.array([1])}, 1, time.monotonic() + 10)
        finally:
            batcher.close()

    asyncio.run(main())


def test_closing_runs_what_waits_and_refuses_more():
    model = Model()

    async def main(batcher, send):
        waiting = asyncio.ensure_future(send(model, [1]))
        await until(lambda: batcher.waiting == 1)
        await asyncio.to_thread(batcher.close)
        with pytest.raises(ServingError, match="shutting down"):
            await send(model, [2])
        return (await waiting)["y"].tolist()

    assert run(main, Batching(timeout_s=60))[0] == [2]


def test_two_threads_run_two_batches_at_a_time():
    model = Model()

    async def main(batcher, send):
        model.gate.clear()
        requests = [asyncio.ensure_future(send(model, [1], signature)) for signature in (TWICE, OTHER)]
        await until(lambda: len(model.calls) == 2)
        model.gate.set()
        await asyncio.gather(*requests)

    run(main, Batching(timeout_s=0, threads=2))
