"""Functions compiled under TensorFlow, and the devices they run on."""

import tensorflow as tf


def compiled(function, model=None):
    """As ``deblur_zoo.execution.compiled``."""
    graph = tf.function(function, reduce_retracing=True, autograph=False)
    return lambda *arrays: tf.nest.map_structure(lambda value: value.numpy(), graph(*map(tf.constant, arrays)))


def network(model):
    """A model as a function of float32 arrays (N, H, W, 3): one graph, traced here."""
    graph = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)],
        autograph=False,
    )
    graph.get_concrete_function()
    return lambda images: graph(tf.constant(images)).numpy()


def accelerators():
    """Names of the accelerators; empty where there is none."""
    details = [tf.config.experimental.get_device_details(device) for device in tf.config.list_physical_devices("GPU")]
    return [detail.get("device_name", "GPU") for detail in details]
