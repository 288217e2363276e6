"""Does the input pipeline keep up? Training pairs per second against the training step of a lite preset.

    python -m benchmarks.pipeline
    python -m benchmarks.pipeline --threads 1,2,4 --rounds 9 --preset one_step_lite

Alternates, in one process, between making pairs, by thread count and place, and the step of the fastest lite preset
(fewest multiply-adds): forward and backward on one fixed batch in mixed_bfloat16, without the losses' feature networks,
optimiser and moving average, so the step's rate is an upper bound. Prints a Markdown table; the ratio is the median
over the rounds of pairs per second / faces per second, and should be at least 1.5 at the fastest place. The data are
random; the Keras backend is that of KERAS_BACKEND.
"""

import itertools
import os
import statistics
import time

import keras
import numpy as np
from absl import flags
from keras import ops
from tqdm import tqdm

from deblur_zoo import zoo
from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data import batches
from deblur_zoo.data.camera_blur import CameraBlur
from deblur_zoo.data.kernel_mixture import KernelMixture
from deblur_zoo.data.places import choose_place
from deblur_zoo.data.synthesis import PairMaker, Synthesis
from deblur_zoo.files.command_line_tools import UsageError, run

FLAGS = flags.FLAGS
flags.DEFINE_string("preset", None, "preset to compare with; default: the lite preset with the fewest multiply-adds")
flags.DEFINE_list("threads", None, "thread counts of the host; default: 1 and one per CPU")
flags.DEFINE_integer("batch", 16, "pairs per batch", lower_bound=1)
flags.DEFINE_integer("batches", 8, "batches per round", lower_bound=1)
flags.DEFINE_float("camera_share", 0.52, "share of camera-like pairs; 0 for the papers' only, also on the device", 0, 1)
flags.DEFINE_integer("rounds", 7, "timed rounds", lower_bound=1)

REQUIRED = 1.5


def fastest_lite_preset():
    """The lite preset with the fewest multiply-adds at 128x128."""
    rows = {name: zoo.describe(name) for name in zoo.list_models("*_lite", kind="deblurrer")}
    return min(rows, key=lambda name: rows[name].multiply_adds)


def training_pairs():
    """A PairMaker of random faces with a margin, with kernels and shares like the lite recipes'."""
    faces = np.random.default_rng(0).integers(0, 256, (256, 160, 160, 3), dtype=np.uint8)
    banks = {"trajectory": make_bank("trajectory", 200), "gaussian_process": make_bank("gaussian_process", 200)}
    shares = {"trajectory": 0.7, "gaussian_process": 0.3}
    camera = CameraBlur(share=FLAGS.camera_share) if FLAGS.camera_share else None
    synthesis = Synthesis(noise=0.02, unblurred_share=0.1, shares=shares, camera=camera)
    kernels = KernelMixture({"trajectory": make_bank("trajectory", 200, range(3, 42, 2))}, {"trajectory": 1.0})
    return PairMaker(faces, banks, synthesis, 0, camera_kernels=kernels)


def sources(pair_maker, threads):
    """Functions that start a round of batches, by (place, threads), with the backend's own pipeline."""
    if keras.backend.backend() == "tensorflow":
        from deblur_zoo.data.pipeline import training_batches

        def begin(**options):
            dataset = training_batches(pair_maker, FLAGS.batch, **options).take(FLAGS.batches)
            return lambda: dataset

        compiled = {}
    else:
        import jax

        def begin(**options):
            # One batch ahead, to waste few at the end.
            return lambda: itertools.islice(
                batches.training_batches(pair_maker, FLAGS.batch, ahead=1, **options), FLAGS.batches
            )

        functions = {}
        # One compiled function over all rounds, as in a run.
        compiled = {"compile": lambda function: functions.setdefault("render", jax.jit(function))}
    found = {("host", count): begin(place="host", threads=count) for count in threads}
    if pair_maker.synthesis.needs_host:
        return found
    return {**found, ("device", "-"): begin(place="device", **compiled)}


def make_batches(begin):
    """A round of batches from a cold start, with none prepared."""
    for batch in begin():
        last = batch
    _ = [float(picture[0, 0, 0, 0]) for picture in last]  # read back, to wait for completion


def training_step(preset):
    """A function that runs one forward and backward pass over one fixed batch and waits for its end."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = zoo.load(preset, weights=False)
    keras.config.set_dtype_policy("float32")
    shape = (FLAGS.batch, 128, 128, 3)
    blurred, sharp = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    model.build(shape)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function
        def step(blurred, sharp):
            with tf.GradientTape() as tape:
                loss = ops.mean(ops.square(model(blurred, training=True) - sharp))
            return tape.gradient(loss, model.trainable_variables)

        blurred, sharp = tf.constant(blurred), tf.constant(sharp)
        return lambda: [gradient.numpy() for gradient in step(blurred, sharp)[:1]]

    import jax

    trainable = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]

    @jax.jit
    def gradients(trainable, blurred, sharp):
        def loss(trainable):
            restored, _ = model.stateless_call(trainable, others, blurred, training=True)
            return ops.mean(ops.square(restored - sharp))

        return jax.grad(loss)(trainable)

    blurred, sharp = jax.device_put(blurred), jax.device_put(sharp)
    return lambda: jax.block_until_ready(gradients(trainable, blurred, sharp))


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main(arguments):
    if arguments:
        raise UsageError(f"Unexpected argument {arguments[0]!r}: only flags are accepted; see --help.")
    processors = os.cpu_count() or 1
    threads = FLAGS.threads or sorted({"1", str(processors)}, key=int)
    if not all(count.isdigit() and int(count) > 0 for count in threads):
        raise UsageError(f"--threads must be numbers separated by commas, got {','.join(threads)!r}.")

    if keras.backend.backend() not in ("tensorflow", "jax"):
        raise UsageError(f"The backend must be tensorflow or jax, got {keras.backend.backend()}.")
    preset = FLAGS.preset or fastest_lite_preset()
    step = training_step(preset)
    pair_maker = training_pairs()
    ways = sources(pair_maker, [int(count) for count in threads])
    step()  # compiled here
    for begin in ways.values():
        make_batches(begin)
    pairs = FLAGS.batch * FLAGS.batches
    rates, steps = {way: [] for way in ways}, []
    for _ in tqdm(range(FLAGS.rounds), desc="rounds", unit="round", disable=None):
        steps.append(FLAGS.batch * 3 / timed(lambda: [step() for _ in range(3)]))
        for way, begin in ways.items():
            rates[way].append(pairs / timed(lambda begin=begin: make_batches(begin)))
    print(f"Batch {FLAGS.batch}, 128x128; {processors} processors, ", end="")
    if hasattr(os, "getloadavg"):
        print(f"load {os.getloadavg()[0]:.1f}, ", end="")
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}; auto is {choose_place('auto', pair_maker.synthesis)}"
    )
    print(f"Step of {preset}, forward and backward, mixed_bfloat16: {statistics.median(steps):,.0f} faces/s\n")
    print("| place | threads | pairs/s | against the step |\n|---|---|---|---|")
    best = 0.0
    for (place, count), values in rates.items():
        ratio = statistics.median(value / taken for value, taken in zip(values, steps, strict=True))
        best = max(best, ratio)
        print(f"| {place} | {count} | {statistics.median(values):,.0f} | {ratio:.2f}x |")
    print(f"\nThe fastest gives {best:.2f}x what the step takes; {'enough' if best >= REQUIRED else 'not enough'}"
          f" (at least {REQUIRED}x).")  # fmt: skip


if __name__ == "__main__":
    run(main, "benchmarks.pipeline")
