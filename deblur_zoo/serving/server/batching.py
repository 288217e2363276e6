"""Requests of one kind put together into batches, and run on threads."""

import asyncio
import collections
import dataclasses
import logging
import threading
import time

import numpy as np

from deblur_zoo.serving.server.errors import ServingError, from_tensorflow

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(eq=False)
class Task:
    """A request that waits for the network.

    Attributes:
        model: ``SavedModel``.
        signature: ``Signature``.
        arrays: dict of input name to array.
        pixels: that it holds.
        deadline: time.monotonic() by which the client wants the answer, or None.
        future: gets the dict of output name to array; cancelled when nobody waits any more.
        arrived: time.monotonic().
    """

    model: object
    signature: object
    arrays: dict
    pixels: int
    deadline: float | None
    future: asyncio.Future
    arrived: float

    @property
    def rows(self):
        """Its share of a batch: pictures."""
        return next((len(array) for array in self.arrays.values() if array.ndim), 1)

    @property
    def kind(self):
        """Tasks of one kind may share a batch: same version and signature, same picture size."""
        shapes = tuple((name, array.dtype.str, array.shape[1:]) for name, array in sorted(self.arrays.items()))
        return id(self.model), self.signature.name, shapes

    @property
    def wanted(self):
        """Whether somebody still waits for the answer."""
        return not self.future.done() and (self.deadline is None or time.monotonic() < self.deadline)


class Batcher:
    """Runs tasks, those of one kind together.

    A batch starts when it is full, or when its first task has waited ``timeout_s``; while batches run, the next ones
    fill up by themselves.

    Args:
        options: ``settings.Batching``.
        max_queued: tasks that may wait.
        max_pixels: in a batch of more than one task.
        on_batch: called in a worker thread with (tasks, rows) of each batch that was run.
    """

    def __init__(self, options, max_queued, max_pixels, on_batch=lambda tasks, rows: None):
        self._options = options
        self._max_queued = max_queued
        self._max_pixels = max_pixels
        self._on_batch = on_batch
        # Kind -> tasks, oldest first. All that follows is touched under the condition only.
        self._queues = {}
        self._waiting = 0
        self._closed = False
        self._condition = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"batches-{number}", daemon=True)
            for number in range(options.threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self):
        """How many tasks wait now."""
        return self._waiting

    async def run(self, model, signature, arrays, pixels, deadline):
        """Wait for the answer to a request.

        Args: as in ``Task``. Every array has the same first size.

        Returns:
            dict of output name to array.

        Raises:
            ServingError: UNAVAILABLE at once when the queue is full; DEADLINE_EXCEEDED; INVALID_ARGUMENT and others
                from the graph.
        """
        loop = asyncio.get_running_loop()
        task = Task(model, signature, arrays, pixels, deadline, loop.create_future(), time.monotonic())
        if self._options.enabled and signature.batchable and task.rows > self._options.max_batch_size:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"Task size {task.rows} is larger than maximum input batch size {self._options.max_batch_size}",
            )
        self._enqueue(task)
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        try:
            return await asyncio.wait_for(task.future, left)
        except TimeoutError:
            raise ServingError("DEADLINE_EXCEEDED", "The deadline passed before the answer was there") from None
        finally:
            self._withdraw(task)

    def _enqueue(self, task):
        with self._condition:
            if self._closed:
                raise ServingError("UNAVAILABLE", "The server is shutting down")
            if self._waiting >= self._max_queued:
                raise ServingError("UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full")
            self._queues.setdefault(task.kind, collections.deque()).append(task)
            self._waiting += 1
            self._condition.notify()

    def _withdraw(self, task):
        """Forget a task whose client has gone; one that has been taken is no longer in a queue."""
        with self._condition:
            queue = self._queues.get(task.kind)
            if queue is not None and task in queue:
                queue.remove(task)
                self._waiting -= 1
                if not queue:
                    del self._queues[task.kind]

    def close(self):
        """Run what waits, and end the threads; new tasks are refused. Blocks until the threads have ended."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self):
        while (tasks := self._next_batch()) is not None:
            try:
                self._execute(tasks)
            except Exception:
                # Not the requests' fault. Without this thread the others would wait for ever.
                _LOG.exception("A batch of %s", tasks[0].signature.name)
                _answer(tasks, [ServingError("INTERNAL", "Internal error; the server's log says more")] * len(tasks))

    def _next_batch(self):
        """Wait for a batch that may start; None once closed and empty."""
        with self._condition:
            while True:
                if not self._queues:
                    if self._closed:
                        return None
                    self._condition.wait()
                    continue
                now = time.monotonic()
                starts = {}
                for kind, queue in self._queues.items():
                    full = self._fitting(queue) < len(queue) or self._is_full(queue)
                    starts[kind] = now if full or self._closed else queue[0].arrived + self._options.timeout_s
                ready = [kind for kind, start in starts.items() if start <= now]
                if not ready:
                    self._condition.wait(min(starts.values()) - now)
                    continue
                # The oldest first: no kind waits for another for ever.
                return self._take(min(ready, key=lambda kind: self._queues[kind][0].arrived))

    def _alone(self, task):
        return not self._options.enabled or not task.signature.batchable

    def _is_full(self, queue):
        return self._alone(queue[0]) or sum(task.rows for task in queue) >= self._options.max_batch_size

    def _fitting(self, queue):
        """How many tasks from the front of a queue make up the next batch: at least one."""
        if self._alone(queue[0]):
            return 1
        rows = pixels = 0
        for count, task in enumerate(queue):
            rows += task.rows
            pixels += task.pixels
            if count and (rows > self._options.max_batch_size or pixels > self._max_pixels):
                return count
        return len(queue)

    def _take(self, kind):
        queue = self._queues[kind]
        tasks = [queue.popleft() for _ in range(self._fitting(queue))]
        self._waiting -= len(tasks)
        if not queue:
            del self._queues[kind]
        return tasks

    def _execute(self, tasks):
        """Run tasks of one kind; where a batch fails, each task by itself, so that a bad one fails alone."""
        tasks = [task for task in tasks if task.wanted]
        if not tasks:
            return
        try:
            answers = _run_together(tasks)
        except Exception as error:
            if len(tasks) > 1:
                for task in tasks:
                    self._execute([task])
                return
            answers = [from_tensorflow(error)]
        self._on_batch(tasks, sum(task.rows for task in tasks))
        _answer(tasks, answers)


def _run_together(tasks):
    """One answer for each task: a dict of arrays."""
    model, signature = tasks[0].model, tasks[0].signature
    if len(tasks) == 1:
        return [model.run(signature.name, tasks[0].arrays)]
    together = {name: np.concatenate([task.arrays[name] for task in tasks]) for name in tasks[0].arrays}
    outputs = model.run(signature.name, together)
    ends = np.cumsum([task.rows for task in tasks]).tolist()
    if any(len(output) != ends[-1] for output in outputs.values()):
        raise ValueError(f"the signature {signature.name} does not give an output for each row")
    return [
        {name: output[end - task.rows : end] for name, output in outputs.items()}
        for task, end in zip(tasks, ends, strict=True)
    ]


def _answer(tasks, answers):
    """Hand answers, dicts or errors, over to the event loop."""
    tasks[0].future.get_loop().call_soon_threadsafe(_deliver, tasks, answers)


def _deliver(tasks, answers):
    for task, answer in zip(tasks, answers, strict=True):
        if task.future.done():
            continue
        if isinstance(answer, ServingError):
            task.future.set_exception(answer)
        else:
            task.future.set_result(answer)
