"""Requests of one kind put together into batches, which run one after the other on a thread."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses

import numpy as np

from deblur_zoo.serving.server.errors import from_tensorflow


@dataclasses.dataclass(eq=False)
class _Task:
    """A request that waits; ``kind``: those that may share a batch."""

    model: object
    signature: object
    arrays: dict
    pixels: int
    answer: asyncio.Future

    def __post_init__(self):
        self.rows = next((len(array) for array in self.arrays.values() if array.ndim), 1)
        shapes = tuple((name, array.dtype.str, array.shape[1:]) for name, array in sorted(self.arrays.items()))
        self.kind = id(self.model), self.signature.name, shapes


class Batcher:
    """Runs requests, those of one kind together; to be made and used in one event loop.

    A request waits for company and for its turn; what has come by then is one batch, that of the oldest first.
    """

    def __init__(self, settings):
        self._settings = settings
        # Oldest first.
        self.waiting = []
        self._turn = asyncio.Lock()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "batches")
        self._working = set()

    async def run(self, model, signature, arrays, pixels):
        """Wait for the answer to a request: a dict of output name to array. Raises RequestError.

        Args:
            model, signature: ``SavedModel`` and its ``Signature``.
            arrays: dict of input name to array, of one first size.
            pixels: that the request holds.
        """
        task = _Task(model, signature, arrays, pixels, asyncio.get_running_loop().create_future())
        self.waiting.append(task)
        # A task of its own: a client that goes does not take the others' answers along.
        working = asyncio.create_task(self._work(task))
        self._working.add(working)
        working.add_done_callback(self._working.discard)
        try:
            return await task.answer
        finally:
            # Where the client has gone, it is not computed.
            with contextlib.suppress(ValueError):
                self.waiting.remove(task)

    async def close(self):
        """Run what waits, and end."""
        await asyncio.gather(*self._working)
        self._thread.shutdown(wait=False)

    async def _work(self, task):
        if self._settings.enable_batching and task.signature.batchable:
            await asyncio.sleep(self._settings.batch_timeout_micros / 1e6)
        async with self._turn:
            if task in self.waiting:
                await self._execute(self._take_batch(task))

    def _take_batch(self, first):
        """The request and those of its kind that fit; they wait no longer."""
        settings, tasks = self._settings, [first]
        if settings.enable_batching and first.signature.batchable:
            rows, pixels = first.rows, first.pixels
            for task in [task for task in self.waiting if task.kind == first.kind and task is not first]:
                rows, pixels = rows + task.rows, pixels + task.pixels
                if rows > settings.max_batch_size or pixels > settings.max_pixels:
                    break
                tasks.append(task)
        self.waiting = [task for task in self.waiting if task not in tasks]
        return tasks

    async def _execute(self, tasks):
        """Run tasks of one kind; where a batch fails, each task by itself, so that a bad one fails alone."""
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, _run_together, tasks)
        except Exception as error:
            if len(tasks) > 1:
                for task in tasks:
                    await self._execute([task])
            elif not tasks[0].answer.done():
                tasks[0].answer.set_exception(from_tensorflow(error))
            return
        for task, answer in zip(tasks, answers, strict=True):
            if not task.answer.done():
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
