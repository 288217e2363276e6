"""The share of the machine's convolution rate that a preset's training step reaches.

    python -m benchmarks.training_step --presets one_step_lite,semantic_face_lite

Times, in bfloat16, a chain of equal convolutions, forward and backward; under TensorFlow also the presets' own
convolutions, each by itself, forward and backward; and the presets' whole training steps through ``fit`` (losses of the
recipe's last stage that need no further network, optimiser, moving average). Rates are floating-point operations per
second: two per multiply-add, three times the forward pass for a step. Rounds are interleaved, so that other load on the
machine affects all alike; the best round of each counts.
"""

import time
from unittest import mock

import keras
import numpy as np
from absl import flags

from deblur_zoo import zoo
from deblur_zoo.files import command_line_tools
from trainers.methods.registry import method_class
from trainers.runs import preparation
from trainers.runs.recipe import read_recipe
from trainers.steps.engines import trainer_class
from trainers.steps.schedule import Schedule

FLAGS = flags.FLAGS
flags.DEFINE_list("presets", ["one_step_lite", "semantic_face_lite"], "presets to time")
flags.DEFINE_integer("batch_size", 16, "faces per step", lower_bound=1)
flags.DEFINE_integer("rounds", 3, "rounds of timing", lower_bound=1)
flags.DEFINE_integer("steps", 10, "steps per round", lower_bound=1)
flags.DEFINE_integer("crop_size", 128, "side of the faces in pixels", lower_bound=16)

# 3x3 from 64 to 64 channels at a quarter of the resolution, typical of a lite preset.
CHANNELS, LAYERS, SCALE = 64, 8, 4


def convolution_step(batch_size, crop_size):
    """A function that runs the chain forward and backward once, and its operations."""
    chain = keras.Sequential([keras.layers.Conv2D(CHANNELS, 3, padding="same", use_bias=False) for _ in range(LAYERS)])
    side = crop_size // SCALE
    images = np.random.default_rng(0).random((batch_size, side, side, CHANNELS), dtype=np.float32)
    chain.build(images.shape)
    chain.compile(optimizer=keras.optimizers.SGD(1e-9), loss="mse", jit_compile=keras.backend.backend() == "jax",
                  auto_scale_loss=False)  # fmt: skip
    multiply_adds = batch_size * side * side * 9 * CHANNELS**2 * LAYERS
    return stepper(chain, (images, images)), 6 * multiply_adds


def training_step(name, batch_size, crop_size):
    """A function that runs a preset's training step once, its operations, and its number of faces."""
    recipe = read_recipe(zoo.preset_folder(name) / "recipe.json")
    trainer = trainer_class()(*preparation.build_models(preparation.model_config(name, recipe), recipe["precision"]))
    method, stage = method_class(recipe["method"]), recipe["stages"][-1]
    losses = {term: weight for term, weight in stage["losses"].items() if term not in (*method.needs, "adversarial")}
    trainer.start_stage(
        method(losses, **stage["options"]),
        keras.optimizers.get(stage["optimizer"]),
        Schedule(steps=stage["steps"], **stage["learning_rate"]),
    )
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (2, batch_size, crop_size, crop_size, 3), dtype=np.uint8)
    labels = generator.integers(0, 11, (batch_size, crop_size, crop_size), dtype=np.uint8)
    multiply_adds = zoo.describe(name).multiply_adds * (crop_size / 128) ** 2
    return stepper(trainer, (*pictures, labels)), 6 * multiply_adds * batch_size


def own_convolutions(name, batch_size, crop_size):
    """A function that runs every convolution of a preset once by itself, forward and backward, and its operations.

    TensorFlow only. Biases, activations and other operations are excluded.
    """
    import tensorflow as tf

    found = []

    def recording(layer_class):
        original = layer_class.call

        def call(layer, inputs, *arguments, **named):
            found.append((layer, tuple(inputs.shape[1:])))
            return original(layer, inputs, *arguments, **named)

        return mock.patch.object(layer_class, "call", call)

    model = zoo.load(name, weights=False)
    with recording(keras.layers.Conv2D), recording(keras.layers.Conv2DTranspose):
        model(np.zeros((1, crop_size, crop_size, 3), np.float32))
    random = np.random.default_rng(0)
    jobs = []
    for layer, shape in found:
        transposed = isinstance(layer, keras.layers.Conv2DTranspose)
        function = keras.ops.conv_transpose if transposed else keras.ops.conv
        images = tf.cast(random.random((batch_size, *shape), dtype=np.float32), "bfloat16")
        jobs.append((function, images, tf.cast(layer.kernel, "bfloat16"), layer.strides))

    @tf.function(autograph=False)
    def every_one():
        results = []
        for function, images, kernel, strides in jobs:
            with tf.GradientTape() as tape:
                tape.watch([images, kernel])
                # The product with itself makes a gradient that is not constant.
                outputs = function(images, kernel, strides=strides, padding="same")
                loss = tf.reduce_sum(outputs * outputs)
            results += [tf.reduce_sum(gradient) for gradient in tape.gradient(loss, [images, kernel])]
        return results

    def run(steps):
        for _ in range(steps):
            every_one()

    return run, 6 * zoo.describe(name).multiply_adds * (crop_size / 128) ** 2 * batch_size


def stepper(model, batch):
    """A function of a number of steps that runs them on one batch through ``fit``."""

    def run(steps):
        model.fit((batch for _ in range(steps)), steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False)

    return run


def benchmark(arguments):
    """Time and print. Returns the exit code."""
    command_line_tools.require_flags(arguments)
    size = FLAGS.batch_size, FLAGS.crop_size
    own = {}
    if keras.backend.backend() == "tensorflow":
        own = {f"{name}, convolutions": own_convolutions(name, *size) for name in FLAGS.presets}
    runners = {name: training_step(name, *size) for name in FLAGS.presets}
    keras.config.set_dtype_policy("mixed_bfloat16")
    runners = {"a chain of convolutions": convolution_step(*size), **own, **runners}
    best = dict.fromkeys(runners, float("inf"))
    for run, _ in runners.values():
        run(1)  # compiles
    for _ in range(FLAGS.rounds):
        for name, (run, _) in runners.items():
            started = time.perf_counter()
            run(FLAGS.steps)
            best[name] = min(best[name], (time.perf_counter() - started) / FLAGS.steps)
    rates = {name: operations / best[name] / 1e9 for name, (_, operations) in runners.items()}
    print(f"{keras.backend.backend()}, batches of {FLAGS.batch_size} faces of {FLAGS.crop_size}x{FLAGS.crop_size}")
    for name, rate in rates.items():
        print(f"{name:34} {rate:8.1f} GFLOP/s", end="")
        if name in FLAGS.presets:
            print(f"  {FLAGS.batch_size / best[name]:8.1f} faces/s", end="")
            for other in ("a chain of convolutions", f"{name}, convolutions"):
                if other in rates:
                    print(f"  {rate / rates[other]:.0%} of {other}", end="")
        print()
    return 0


def main():
    command_line_tools.run(benchmark, "benchmarks.training_step")


if __name__ == "__main__":
    main()
