"""Images, gradients and writers of weight files."""

import keras
import numpy as np
import pytest

from tests.features import weight_writers


@pytest.fixture(scope="session")
def writers():
    """The module weight_writers."""
    return weight_writers


@pytest.fixture
def images():
    """Two images of 32x40 pixels, smooth enough that layers see more than noise."""
    rough = np.random.default_rng(1).random((2, 8, 10, 3))
    return np.repeat(np.repeat(rough, 4, axis=1), 4, axis=2).astype(np.float32)


@pytest.fixture(scope="session")
def slope():
    """function(f, images) -> gradient of the sum of f, by the active backend, compiled."""

    def of(function, images):
        if keras.backend.backend() == "jax":
            import jax

            return np.asarray(jax.jit(jax.grad(lambda x: function(x).sum()))(images))
        import tensorflow as tf

        @tf.function
        def gradient(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                total = tf.reduce_sum(function(x))
            return tape.gradient(total, x)

        return gradient(tf.constant(images)).numpy()

    return of
