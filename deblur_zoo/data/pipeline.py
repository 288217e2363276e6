"""The tf.data pipeline from a pair maker to training batches."""

import tensorflow as tf


def training_batches(pair_maker, batch_size, first_step=0):
    """An endless dataset of batches that starts at any step without making the ones before it.

    Args:
        pair_maker: object with ``pair(number)`` and ``synthesis.crop_size``.
        batch_size: pairs a step.
        first_step: the step to start at; step k holds samples k * batch_size up to (k + 1) * batch_size - 1.

    Returns:
        tf.data.Dataset of (blurred, sharp), each uint8 (batch_size, S, S, 3).
    """
    size = pair_maker.synthesis.crop_size

    def make(number):
        blurred, sharp = tf.numpy_function(pair_maker.pair, [number], [tf.uint8, tf.uint8])
        return tf.ensure_shape(blurred, (size, size, 3)), tf.ensure_shape(sharp, (size, size, 3))

    numbers = tf.data.Dataset.range(first_step * batch_size, tf.int64.max)
    # Order is kept, so a run does not depend on how fast each thread is.
    pairs = numbers.map(make, num_parallel_calls=2, deterministic=True)
    return pairs.batch(batch_size, drop_remainder=True).prefetch(4)
