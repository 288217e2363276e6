"""Training batches from a pair maker without TensorFlow: threads that work ahead, for other backends."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def training_batches(pair_maker, batch_size, first_step=0, threads=None, ahead=4):
    """An endless generator of the batches that ``deblur_zoo.data.pipeline`` gives, in the same order.

    Args:
        pair_maker: object with ``pair(number)``.
        batch_size: pairs a step.
        first_step: the step to start at; step k holds samples k * batch_size up to (k + 1) * batch_size - 1.
        threads: workers; None for one a processor. OpenCV and NumPy let go of the interpreter while they work.
        ahead: batches that are being made while one is used.

    Yields:
        (blurred, sharp), each uint8 (batch_size, S, S, 3).
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()
        number = first_step * batch_size

        def order():
            nonlocal number
            waiting.append([pool.submit(pair_maker.pair, n) for n in range(number, number + batch_size)])
            number += batch_size

        try:
            for _ in range(ahead):
                order()
            while True:
                order()
                pairs = [future.result() for future in waiting.popleft()]
                yield tuple(np.stack(pictures) for pictures in zip(*pairs, strict=True))
        finally:
            for batch in waiting:
                for future in batch:
                    future.cancel()
