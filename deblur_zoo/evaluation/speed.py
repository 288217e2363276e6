"""Time per face, run as by evaluation: in one process, in float32, compiled if the backend does."""

import os
import platform
import statistics
import time
from functools import partial

import keras
import numpy as np

from deblur_zoo import execution
from deblur_zoo.faces.alignment import CROP_SIZE

BATCH_SIZES = (1, 16)
WARM_UP = 2
RUNS = {1: 25, 16: 9}


def milliseconds_a_face(model, batch_size, runs=None, size=CROP_SIZE, clock=time.perf_counter):
    """Median time of a forward pass, divided by the batch.

    Args:
        model: a ``Deblurrer``, or a function of float32 (N, H, W, 3) in [0, 1].
        batch_size: faces per pass.
        runs: timed passes after ``WARM_UP`` untimed ones; None: 25 for one face, 9 for more.
        size: side of the faces in pixels.
        clock: function that returns seconds.

    Returns:
        float, milliseconds; the result is read back from the device each time.
    """
    function = partial(execution.run, model) if isinstance(model, keras.Model) else model
    images = np.random.default_rng(0).random((batch_size, size, size, 3), dtype=np.float32)
    times = []
    for _ in range(WARM_UP + (runs or RUNS.get(batch_size, 9))):
        start = clock()
        np.asarray(function(images))
        times.append(clock() - start)
    return 1000 * statistics.median(times[WARM_UP:]) / batch_size


def machine():
    """The machine in words: system, processor, number of processors and accelerators, if any."""
    described = f"{platform.system()}, {platform.processor() or platform.machine()}, {os.cpu_count()} processors"
    kinds = [device.split(":")[0] for device in keras.distribution.list_devices()]
    accelerators = [kind for kind in kinds if kind != "cpu"]
    return described + "".join(f", {accelerators.count(kind)} {kind}" for kind in sorted(set(accelerators)))
