"""Training batches from a pair maker without TensorFlow, for other backends."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from deblur_zoo.data.places import choose_place


def training_batches(pair_maker, batch_size, first_step=0, place="auto", compile=None, threads=None, ahead=4):
    """An endless generator of the same batches as ``deblur_zoo.data.pipeline``, in the same order.

    Args:
        pair_maker: a PairMaker.
        batch_size: pairs per step.
        first_step: the step to start at; step k holds samples k * batch_size up to (k + 1) * batch_size - 1.
        place: "host", "device" or "auto", see ``places.choose_place``.
        compile: function that compiles the device renderer, such as ``jax.jit``.
        threads: host worker threads; None for one per CPU. OpenCV and NumPy release the interpreter lock.
        ahead: batches to prepare (on the device: plan) in advance.

    Returns:
        generator of (blurred, sharp) or (blurred, sharp, labels): uint8 (batch_size, S, S, 3) twice and uint8
        (batch_size, S, S). NumPy arrays from the host, the backend's tensors from the device.

    Raises:
        ValueError: an unknown place, or JPEG compression on the device.
    """
    if choose_place(place, pair_maker.synthesis) == "host":
        return _from_host(pair_maker, batch_size, first_step, threads, ahead)
    from deblur_zoo.data.device_synthesis import DeviceRenderer

    # Created here so that unsupported settings fail at the call and not at the first batch.
    return _from_device(DeviceRenderer(pair_maker, compile), pair_maker, batch_size, first_step, ahead)


def _from_host(pair_maker, batch_size, first_step, threads, ahead):
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


def _from_device(renderer, pair_maker, batch_size, first_step, ahead):
    """One thread draws plans ahead; this one starts the rendering, which backends such as JAX run asynchronously."""
    with ThreadPoolExecutor(1) as pool:
        step = first_step
        waiting = deque()
        try:
            while True:
                while len(waiting) <= ahead:
                    waiting.append(pool.submit(pair_maker.plans, step * batch_size, batch_size))
                    step += 1
                yield renderer(waiting.popleft().result())
        finally:
            for plans in waiting:
                plans.cancel()
