"""What the tests of methods share."""

import keras
import pytest


@pytest.fixture
def eagerly():
    """Training steps run layer by layer; tracing a graph takes many times as long. test_every_stage.py has graphs."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
