"""Several calls under way at once, with the results in order."""

import collections
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError


def in_order(function, items, in_flight, may_meet=lambda item, other: True):
    """Results of ``function`` for each item, in order, while up to ``in_flight`` items are under way.

    The items are taken one by one as places become free, so an endless or lazy iterable is fine. Each call runs in a
    daemon thread: whoever stops listening, or leaves with Ctrl-C, does not wait for them.

    Args:
        function: called with one item.
        items: iterable.
        in_flight: how many items may be taken and not yet given back.
        may_meet: ``may_meet(item, other)``: whether the two may be under way together; a new item that may not meet an
            older one waits for it.

    Returns:
        generator of finished ``concurrent.futures.Future``.
    """
    waiting = collections.deque()
    for item in items:
        while len(waiting) >= in_flight or not all(may_meet(item, other) for other, _ in waiting):
            yield _finished(waiting.popleft())
        waiting.append((item, _start(function, item)))
    while waiting:
        yield _finished(waiting.popleft())


def _start(function, item):
    future = Future()

    def run():
        try:
            future.set_result(function(item))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _finished(entry):
    future = entry[1]
    # In slices, since a wait without end cannot be left with Ctrl-C on every system.
    while not future.done():
        try:
            future.exception(timeout=1)
        except FutureTimeoutError:
            continue
    return future
