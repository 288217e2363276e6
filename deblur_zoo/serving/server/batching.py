"""Requests of one kind put together into batches, which run one after the other on a thread."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses

import numpy as np

from deblur_zoo.serving.server.errors import RequestError, from_tensorflow


@dataclasses.dataclass(eq=False)
class _Task:
    """A request that waits, since ``arrived`` in the event loop's time; ``kind``: those that may share a batch."""

    model: object
    signature: object
    arrays: dict
    pixels: int
    arrived: float
    answer: asyncio.Future

    def __post_init__(self):
        self.rows = next((len(array) for array in self.arrays.values() if array.ndim), 1)
        shapes = tuple((name, array.dtype.str, array.shape[1:]) for name, array in sorted(self.arrays.items()))
        self.kind = id(self.model), self.signature.name, shapes


class Batcher:
    """Runs requests, those of one kind together; to be made and used in one event loop.

    A batch starts when it is full, or when its first request has waited long enough; while one runs, the next ones
    fill up by themselves.

    Args:
        settings: ``settings.Settings``.
    """

    def __init__(self, settings):
        self._settings = settings
        # Oldest first.
        self.waiting = []
        self._changed = asyncio.Event()
        self._closed = False
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "batches")
        self._working = asyncio.create_task(self._work())

    async def run(self, model, signature, arrays, pixels, deadline):
        """Wait for the answer to a request: a dict of output name to array.

        Args:
            model: ``SavedModel``.
            signature: ``Signature``.
            arrays: dict of input name to array, of one first size.
            pixels: that the request holds.
            deadline: the event loop's time by which the client wants the answer, or None.

        Raises:
            RequestError: UNAVAILABLE at once when too many wait; DEADLINE_EXCEEDED; others from the graph.
        """
        if self._closed or len(self.waiting) >= self._settings.max_queued:
            why = "is shutting down" if self._closed else "has a full queue; try again later (--max_queued)"
            raise RequestError("UNAVAILABLE", f"The server {why}")
        loop = asyncio.get_running_loop()
        task = _Task(model, signature, arrays, pixels, loop.time(), loop.create_future())
        self.waiting.append(task)
        self._changed.set()
        try:
            async with asyncio.timeout_at(deadline):
                return await task.answer
        except TimeoutError:
            raise RequestError("DEADLINE_EXCEEDED", "The deadline passed before the answer was there") from None
        finally:
            # Where the client has gone, it is not computed.
            with contextlib.suppress(ValueError):
                self.waiting.remove(task)

    async def close(self):
        """Run what waits, and end; new requests are refused."""
        self._closed = True
        self._changed.set()
        await self._working
        self._thread.shutdown(wait=False)

    async def _work(self):
        while self.waiting or not self._closed:
            self._changed.clear()
            tasks, starts = self._next_batch()
            if starts is None or starts > asyncio.get_running_loop().time():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(starts):
                        await self._changed.wait()
                continue
            self.waiting = [task for task in self.waiting if task not in tasks]
            await self._execute(tasks)

    def _next_batch(self):
        """The oldest request with those of its kind that fit, and when they start: None where nothing waits."""
        if not self.waiting:
            return [], None
        first = self.waiting[0]
        tasks, rows, pixels = [], 0, 0
        alone = not self._settings.enable_batching or not first.signature.batchable
        full = alone or self._closed
        for task in [first] if alone else [task for task in self.waiting if task.kind == first.kind]:
            rows += task.rows
            pixels += task.pixels
            full = full or rows >= self._settings.max_batch_size or pixels > self._settings.max_pixels
            if tasks and (rows > self._settings.max_batch_size or pixels > self._settings.max_pixels):
                break
            tasks.append(task)
        return tasks, first.arrived if full else first.arrived + self._settings.batch_timeout_micros / 1e6

    async def _execute(self, tasks):
        """Run tasks of one kind; where a batch fails, each task by itself, so that a bad one fails alone."""
        tasks = [task for task in tasks if not task.answer.done()]
        if not tasks:
            return
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, _run_together, tasks)
        except Exception as error:
            if len(tasks) > 1:
                for task in tasks:
                    await self._execute([task])
                return
            answers = [from_tensorflow(error)]
        for task, answer in zip(tasks, answers, strict=True):
            if task.answer.done():
                continue
            if isinstance(answer, RequestError):
                task.answer.set_exception(answer)
            else:
                task.answer.set_result(answer)


def _run_together(tasks):
    """One answer for each task: a dict of arrays."""
    model, signature = tasks[0].model, tasks[0].signature
    if len(tasks) == 1:
        return [model.run(signature.name, tasks[0].arrays)]
    together = {name: np.concatenate([task.arrays[name] for task in tasks]) for name in tasks[0].arrays}
    outputs = model.run(signature.name, together)
    *ends, total = np.cumsum([task.rows for task in tasks]).tolist()
    if any(len(output) != total for output in outputs.values()):
        raise ValueError(f"the signature {signature.name} does not give an output for each row")
    parts = {name: np.split(output, ends) for name, output in outputs.items()}
    return [{name: parts[name][place] for name in parts} for place in range(len(tasks))]
