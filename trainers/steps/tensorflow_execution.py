"""Functions compiled under TensorFlow, and the devices they run on."""

import tensorflow as tf


def compiled(function, model=None):
    """Compile a function of arrays into one graph.

    Args:
        function: takes arrays and returns a tensor or a dict of tensors; may call ``model``.
        model: the model that it calls.

    Returns:
        function of NumPy arrays that returns NumPy arrays. It reads the model's current weights at each call.
    """
    graph = tf.function(function, reduce_retracing=True, autograph=False)
    return lambda *arrays: tf.nest.map_structure(lambda value: value.numpy(), graph(*map(tf.constant, arrays)))


def device_names():
    """Names of the accelerators; empty if there are none."""
    details = [tf.config.experimental.get_device_details(device) for device in tf.config.list_physical_devices("GPU")]
    return [detail.get("device_name", "GPU") for detail in details]
