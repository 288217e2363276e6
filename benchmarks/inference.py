"""Time per face of a preset, and its share of the machine's convolution rate.

    python -m benchmarks.inference --presets umsn_paper

Times, one face at a time in float32, each preset, compiled as in ``restoration``, and a plain chain of 3x3 convolutions
from 192 to 192 channels on 64x64 pixels, scaled to as many multiply-adds. GFLOP/s count two operations per
multiply-add. Rounds are interleaved, so that other load on the machine affects all alike; the best round of each
counts. CPU seconds, which other load affects less, follow in brackets. ``--beside_torch`` (needs PyTorch) adds the
published layers of ``umsn`` in PyTorch, image heads included, and the ratio to them.
"""

import time

import keras
import numpy as np
from absl import flags

from deblur_zoo import zoo
from deblur_zoo.execution import compiled
from deblur_zoo.files import command_line_tools
from deblur_zoo.zoo.multiply_adds import count_multiply_adds

FLAGS = flags.FLAGS
flags.DEFINE_list("presets", ["umsn_paper"], "presets to time")
flags.DEFINE_bool("beside_torch", False, "also time the layers of umsn in PyTorch")
flags.DEFINE_integer("rounds", 10, "rounds of timing", lower_bound=1)
flags.DEFINE_integer("crop_size", 128, "side of the faces in pixels", lower_bound=16)
flags.DEFINE_integer("batch_size", 1, "faces per batch", lower_bound=1)

CHANNELS, SIDE, LAYERS = 192, 64, 16


def chain_of_convolutions():
    """A function that runs the chain once, and its multiply-adds."""
    chain = keras.Sequential([keras.layers.Conv2D(CHANNELS, 3, padding="same", use_bias=False) for _ in range(LAYERS)])
    images = np.random.default_rng(0).random((1, SIDE, SIDE, CHANNELS), dtype=np.float32)
    chain.build(images.shape)
    run = compiled(lambda features: chain(features, training=False), chain)
    return lambda: run(images), LAYERS * SIDE**2 * 9 * CHANNELS**2


def inference(name, batch_size, crop_size):
    """A function that runs a preset once, and its multiply-adds."""
    model = zoo.load(name, weights=False)
    faces = np.random.default_rng(0).random((batch_size, crop_size, crop_size, 3), dtype=np.float32)
    run = compiled(lambda images: model(images, training=False), model)
    return lambda: run(faces), batch_size * count_multiply_adds(model, crop_size, crop_size)


def benchmark(arguments):
    """Time and print. Returns the exit code."""
    command_line_tools.require_flags(arguments)
    jobs = {name: inference(name, FLAGS.batch_size, FLAGS.crop_size) for name in FLAGS.presets}
    jobs = {"a chain of 3x3 convolutions": chain_of_convolutions(), **jobs}
    if FLAGS.beside_torch:
        from benchmarks import umsn_in_torch

        jobs["umsn in PyTorch"] = umsn_in_torch.inference(FLAGS.batch_size, FLAGS.crop_size)
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    best = {clock: dict.fromkeys(jobs, float("inf")) for clock in clocks}
    for run, _ in jobs.values():
        run()  # compiles
    for _ in range(FLAGS.rounds):
        for name, (run, _) in jobs.items():
            started = {clock: read() for clock, read in clocks.items()}
            run()
            for clock, read in clocks.items():
                best[clock][name] = min(best[clock][name], read() - started[clock])
    print(f"{keras.backend.backend()}, float32, {FLAGS.batch_size} of {FLAGS.crop_size}x{FLAGS.crop_size}")
    plain = {
        clock: jobs["a chain of 3x3 convolutions"][1] / best[clock]["a chain of 3x3 convolutions"] for clock in best
    }
    for name, (_, count) in jobs.items():
        rates = {clock: count / times[name] for clock, times in best.items()}
        shares = {clock: rate / plain[clock] for clock, rate in rates.items()}
        print(f"{name:28} {count / 1e9:8.2f} GMAC {best['wall'][name]:8.4f} s [{best['processor'][name]:.4f} s] "
              f"{2 * rates['wall'] / 1e9:7.1f} GFLOP/s, {shares['wall']:.0%} [{shares['processor']:.0%}] "
              "of the chain's rate")  # fmt: skip
    if FLAGS.beside_torch:
        for name in FLAGS.presets:
            ratios = (times[name] / times["umsn in PyTorch"] for times in best.values())
            print("{}: {:.3f} [{:.3f}] of PyTorch's time".format(name, *ratios))
    return 0


def main():
    command_line_tools.run(benchmark, "benchmarks.inference")


if __name__ == "__main__":
    main()
