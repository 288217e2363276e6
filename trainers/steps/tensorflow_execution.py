"""Functions compiled under TensorFlow, and the devices they run on."""

import tensorflow as tf


def compiled(function, model=None):
    """A function of arrays as one graph.

    Args:
        function: takes arrays and gives tensors, one or a dict of them; may call ``model``.
        model: the model that it calls.

    Returns:
        function of NumPy arrays that gives NumPy arrays. It reads the model's weights anew at each call.
    """
    graph = tf.function(function, reduce_retracing=True, autograph=False)
    return lambda *arrays: tf.nest.map_structure(lambda value: value.numpy(), graph(*map(tf.constant, arrays)))


def device_names():
    """Names of the accelerators; empty where there is none."""
    details = [tf.config.experimental.get_device_details(device) for device in tf.config.list_physical_devices("GPU")]
    return [detail.get("device_name", "GPU") for detail in details]
