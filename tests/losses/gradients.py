"""Gradients on whatever backend is active, so that a test of a loss is written once."""

import keras
import numpy as np
from keras import ops


def gradient_tensors(function, *arguments):
    """Gradients of the sum of a function's values with respect to each argument, as tensors.

    The call may stand inside the function of another one: that gives second derivatives.

    Args:
        function: takes the arguments as tensors and gives a tensor of any shape.
        arguments: float arrays or tensors.

    Returns:
        list of tensors, one an argument.
    """
    if keras.backend.backend() == "jax":
        import jax

        arguments = [jax.numpy.asarray(argument) for argument in arguments]
        return list(jax.grad(lambda *values: function(*values).sum(), argnums=tuple(range(len(arguments))))(*arguments))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        arguments = [tf.convert_to_tensor(argument) for argument in arguments]
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            total = tf.reduce_sum(function(*arguments))
        return tape.gradient(total, arguments, unconnected_gradients="zero")
    raise NotImplementedError(f"no gradient is written down for the {keras.backend.backend()} backend")


def gradients(function, *arguments):
    """The same, of float32 arrays, as NumPy arrays."""
    arguments = [np.asarray(argument, np.float32) for argument in arguments]
    return [ops.convert_to_numpy(tensor) for tensor in gradient_tensors(function, *arguments)]
