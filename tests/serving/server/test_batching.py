"""Batches, with a model of NumPy that writes down what it was given."""

import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")

from deblur_zoo.serving.server.batching import Batcher  # noqa: E402
from deblur_zoo.serving.server.errors import RequestError  # noqa: E402
from deblur_zoo.serving.server.settings import Settings  # noqa: E402

TWICE = SimpleNamespace(name="twice", batchable=True)
OTHER = SimpleNamespace(name="other", batchable=True)
ALONE = SimpleNamespace(name="alone", batchable=False)


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


def run(main, **options):
    """Run ``await main(batcher, send)``; ``send(model, numbers, ...)`` is a request."""
    # Long enough that what is sent together is put together on a busy machine too.
    settings = Settings("", **{"max_batch_size": 8, "batch_timeout_micros": 300_000, **options})

    async def everything():
        batcher = Batcher(settings)

        async def send(model, numbers, signature=TWICE, pixels=1):
            return (await batcher.run(model, signature, {"x": np.array(numbers)}, pixels))["y"].tolist()

        try:
            return await asyncio.wait_for(main(batcher, send), 30)
        finally:
            await batcher.close()

    return asyncio.run(everything())


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def test_requests_share_a_batch_and_get_their_own_answers():
    model = Model()
    answers = run(lambda batcher, send: asyncio.gather(send(model, [1, 2]), send(model, [3]), send(model, [4, 5, 6])))
    assert answers == [[2, 4], [6], [8, 10, 12]] and model.calls == [("twice", [1, 2, 3, 4, 5, 6])]


def test_a_batch_has_a_largest_size_and_nothing_is_split():
    """3 + 3 rows fit into 8, 9 do not."""
    model = Model()
    run(lambda batcher, send: asyncio.gather(*(send(model, [number] * 3) for number in range(5))))
    assert [len(numbers) for _, numbers in model.calls] == [6, 6, 3]


def test_kinds_do_not_mix():
    """Another model, signature, size or type of the pictures is another batch."""
    first, second = Model(), Model()
    requests = [(first, [1]), (second, [2]), (first, [3], OTHER), (first, [[4, 4]]), (first, [5.0]), (first, [6])]
    run(lambda batcher, send: asyncio.gather(*(send(*request) for request in requests)))
    wanted = [("twice", [1, 6]), ("other", [3]), ("twice", [[4, 4]]), ("twice", [5.0])]
    assert sorted(map(str, first.calls)) == sorted(map(str, wanted)) and second.calls == [("twice", [2])]


def test_a_bad_request_fails_alone():
    model = Model()

    async def main(batcher, send):
        return await asyncio.gather(send(model, [1]), send(model, [-1]), send(model, [3]), return_exceptions=True)

    first, bad, last = run(main)
    assert (first, last) == ([2], [6]) and model.calls[0] == ("twice", [1, -1, 3])
    assert isinstance(bad, RequestError) and (bad.code, str(bad)) == ("INVALID_ARGUMENT", "negative")


@pytest.mark.parametrize(
    "options, signature, pixels, calls",
    [({"enable_batching": False}, TWICE, 1, 3), ({}, ALONE, 1, 3), ({}, TWICE, 5, 2), ({}, TWICE, 4, 1)],
)
def test_what_keeps_requests_apart(options, signature, pixels, calls):
    """Batching switched off, a signature without a first axis to join, and more than 12 pixels together."""
    model = Model()

    async def main(batcher, send):
        await asyncio.gather(*(send(model, [number], signature, pixels) for number in range(3)))

    run(main, max_pixels=12, **options)
    assert len(model.calls) == calls


def test_what_nobody_waits_for_is_not_computed():
    """Its client has gone while it waited; one that goes while its batch runs takes no answer from the others."""
    model = Model()
    model.gate.clear()

    async def main(batcher, send):
        first = [asyncio.ensure_future(send(model, [number])) for number in (0, 1)]
        await until(lambda: model.calls)
        gone = asyncio.ensure_future(send(model, [2]))
        await until(lambda: batcher.waiting)
        gone.cancel(), first[0].cancel()
        await until(lambda: not batcher.waiting)
        model.gate.set()
        return await first[1], await send(model, [3])

    assert run(main) == ([2], [6])
    assert model.calls == [("twice", [0, 1]), ("twice", [3])]
