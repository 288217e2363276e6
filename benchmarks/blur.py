"""Throughput of every blur implementation against a plain loop of cv2.filter2D.

    python -m benchmarks.blur
    python -m benchmarks.blur --sizes 128 --batch 32 --rounds 15

Each implementation alternates with the loop, and the ratio is the median over the rounds of loop time / its own time,
so that other load on the machine affects both. Prints a Markdown table. The Keras backend is that of KERAS_BACKEND
(TensorFlow by default); under TensorFlow the JAX rows come from a second process, if jax is installed.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time

import cv2
import keras
import numpy as np
from absl import flags
from keras import ops
from tqdm import tqdm

from deblur_zoo.blur.convolution import blur
from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data import host_blur
from deblur_zoo.files.command_line_tools import UsageError, run

FLAGS = flags.FLAGS

flags.DEFINE_list("sizes", ["128", "256"], "heights (and widths) of the images")
flags.DEFINE_integer("kernel", 27, "size of the kernels", lower_bound=3)
flags.DEFINE_integer("batch", 64, "images per batch", lower_bound=1)
flags.DEFINE_integer("rounds", 9, "timed rounds of each implementation", lower_bound=1)
flags.DEFINE_boolean("rows_only", False, "print the rows of the backend as JSON (used for the second process)")

LOOP = "cv2.filter2D, loop"


def host_ways(images, kernels):
    """The reference loop, and the host implementation of the library."""

    def loop():
        pairs = zip(images, kernels, strict=True)
        return np.stack([cv2.filter2D(i, -1, k[::-1, ::-1], borderType=cv2.BORDER_REFLECT_101) for i, k in pairs])

    return loop, {"host_blur, one thread per CPU": lambda: host_blur.blur(images, kernels)}


def graph_ways(images, kernels):
    """The in-graph implementation under this process's backend; reads a pixel back to wait for completion."""
    images, kernels = ops.convert_to_tensor(images), ops.convert_to_tensor(kernels)

    def finished(function):
        def call():
            result = function(images, kernels)
            np.asarray(result[0, 0, 0, 0])
            return result

        return call

    if keras.backend.backend() == "jax":
        import jax

        return {"convolution, JAX compiled (fft)": finished(jax.jit(blur))}
    if keras.backend.backend() != "tensorflow":
        raise UsageError(f"The backend must be tensorflow or jax, got {keras.backend.backend()}.")
    import tensorflow as tf

    ways = {}
    for method in ("auto", "grouped", "fft"):
        graph = tf.function(lambda *inputs, method=method: blur(*inputs, method=method))
        ways[f"convolution, TensorFlow ({method})"] = finished(graph)
    ways["convolution, TensorFlow under XLA (auto)"] = finished(tf.function(blur, jit_compile=True))
    return ways


def measure(size, with_host, progress):
    """Rows [name, images per second, ratio to the loop, largest difference to the loop] at one image size."""
    images = np.random.default_rng(0).random((FLAGS.batch, size, size, 3), dtype=np.float32)
    kernels = make_bank("trajectory", FLAGS.batch, (FLAGS.kernel,)).kernels
    loop, ways = host_ways(images, kernels)
    ways = {**(ways if with_host else {}), **graph_ways(images, kernels)}
    truth = loop()
    rows, loop_times = [], []
    for name, way in ways.items():
        difference = float(np.abs(np.asarray(way()) - truth).max())
        if difference > 1e-5:
            raise RuntimeError(f"{name} differs from the loop by {difference:.1e}.")
        times, ratios = [], []
        for _ in range(FLAGS.rounds):
            loop_times.append(timed(loop))
            times.append(timed(way))
            ratios.append(loop_times[-1] / times[-1])
        rows.append([name, FLAGS.batch / statistics.median(times), statistics.median(ratios), difference])
        progress.update()
    if with_host:
        rows.insert(0, [LOOP, FLAGS.batch / statistics.median(loop_times), 1.0, 0.0])
    return rows


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def rows_under_jax(size):
    """The JAX rows from a separate process; none if jax is not installed."""
    if importlib.util.find_spec("jax") is None:
        return []
    command = [sys.executable, "-m", "benchmarks.blur", "--rows_only", f"--sizes={size}"]
    command += [f"--{name}={FLAGS[name].value}" for name in ("kernel", "batch", "rounds")]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"The benchmark under JAX failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(arguments):
    if arguments:
        raise UsageError(f"Unexpected argument {arguments[0]!r}: only flags are accepted; see --help.")
    if not FLAGS.sizes or not all(size.isdigit() and int(size) > 0 for size in FLAGS.sizes):
        raise UsageError(f"--sizes must be numbers of pixels separated by commas, got {','.join(FLAGS.sizes)!r}.")

    if FLAGS.rows_only:
        with tqdm(disable=True) as progress:
            print(json.dumps([row for size in FLAGS.sizes for row in measure(int(size), False, progress)]))
        return
    tables = {}
    with tqdm(desc="ways timed", unit="way", disable=None) as progress:
        for size in map(int, FLAGS.sizes):
            tables[size] = measure(size, True, progress)
            if keras.backend.backend() == "tensorflow":
                tables[size] += rows_under_jax(size)
    print(f"Batch {FLAGS.batch}, RGB float32, kernel {FLAGS.kernel}; {os.cpu_count()} processors, ", end="")
    if hasattr(os, "getloadavg"):
        print(f"load {os.getloadavg()[0]:.1f}, ", end="")
    print(f"OpenCV {cv2.__version__}, Keras {keras.__version__} on {keras.backend.backend()}, NumPy {np.__version__}\n")
    print("| size | way | images/s | against the loop | largest difference |\n|---|---|---|---|---|")
    for size, rows in tables.items():
        for name, speed, ratio, difference in rows:
            print(f"| {size} | {name} | {speed:,.0f} | {ratio:.2f}x | {difference:.0e} |")


if __name__ == "__main__":
    run(main, "benchmarks.blur")
