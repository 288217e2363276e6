"""The tf.data pipeline that turns a pair maker into training batches."""

import os

import tensorflow as tf

from deblur_zoo.data.places import choose_place


def training_batches(pair_maker, batch_size, first_step=0, place="auto", threads=None):
    """An endless dataset of batches that starts at any step without generating the earlier ones.

    Args:
        pair_maker: a PairMaker.
        batch_size: pairs per step.
        first_step: the step to start at; step k holds samples k * batch_size up to (k + 1) * batch_size - 1.
        place: "host", "device" or "auto", see ``places.choose_place``. On the device the plans go through tf.data and
            one graph function renders them, compiled by XLA if there is an accelerator.
        threads: number of pairs rendered in parallel on the host; None for one per CPU.

    Returns:
        tf.data.Dataset of (blurred, sharp) or (blurred, sharp, labels): uint8 (batch_size, S, S, 3) twice and uint8
        (batch_size, S, S).

    Raises:
        ValueError: an unknown place, or JPEG compression on the device.
    """
    if choose_place(place, pair_maker.synthesis) == "host":
        return _from_host(pair_maker, batch_size, first_step, threads or os.cpu_count() or 2)
    return _from_device(pair_maker, batch_size, first_step)


def _from_host(pair_maker, batch_size, first_step, threads):
    size = pair_maker.synthesis.crop_size
    shapes = [(size, size, 3), (size, size, 3), (size, size)][: 2 if pair_maker.labels is None else 3]

    def make(number):
        pictures = tf.numpy_function(pair_maker.pair, [number], [tf.uint8] * len(shapes))
        return tuple(tf.ensure_shape(picture, shape) for picture, shape in zip(pictures, shapes, strict=True))

    numbers = tf.data.Dataset.range(first_step * batch_size, tf.int64.max)
    # Keeping the order makes a run independent of thread timing.
    pairs = numbers.map(make, num_parallel_calls=threads, deterministic=True)
    return pairs.batch(batch_size, drop_remainder=True).prefetch(4)


def _from_device(pair_maker, batch_size, first_step):
    from deblur_zoo.data.device_synthesis import DeviceRenderer

    accelerators = tf.config.list_logical_devices("GPU") + tf.config.list_logical_devices("TPU")
    renderer = DeviceRenderer(pair_maker, lambda function: tf.function(function, jit_compile=bool(accelerators)))
    example = pair_maker.plans(0, batch_size)
    names = sorted(example)

    def plan(step):
        def draw(step):
            plans = pair_maker.plans(step * batch_size, batch_size)
            return [plans[name] for name in names]

        values = tf.numpy_function(draw, [step], [example[name].dtype for name in names])
        shaped = (tf.ensure_shape(value, example[name].shape) for name, value in zip(names, values, strict=True))
        return dict(zip(names, shaped, strict=True))

    def render(plans):
        with tf.device(accelerators[0].name if accelerators else "CPU:0"):
            return renderer(plans)

    steps = tf.data.Dataset.range(first_step, tf.int64.max)
    return steps.map(plan, num_parallel_calls=2, deterministic=True).map(render).prefetch(4)
