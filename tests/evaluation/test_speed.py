import numpy as np
import pytest

from deblur_zoo.evaluation import speed


def test_times_are_the_median_after_the_warm_up_for_each_face(monkeypatch):
    """A clock that runs by hand: each pass takes the next of these seconds."""
    seconds = [9, 8, 0.2, 0.4, 0.3, 5, 0.1]
    ticks = iter(np.ravel([(start, start + taken) for start, taken in zip(range(0, 700, 100), seconds, strict=True)]))
    taken = speed.milliseconds_a_face(lambda images: images, 4, runs=5, size=8, clock=lambda: next(ticks))
    # Median of 0.2, 0.4, 0.3, 5, 0.1 for four faces.
    assert taken == pytest.approx(1000 * 0.3 / 4)


def test_every_pass_computes_and_the_model_is_not_training():
    import keras

    class Counting(keras.Model):
        def __init__(self):
            super().__init__()
            self.passes = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, images, training=True):
            assert training is False and tuple(images.shape) == (None, None, None, 3)
            self.passes.assign_add(1.0)
            return images

    model = Counting()
    assert speed.milliseconds_a_face(model, 2, runs=3, size=16) > 0
    assert float(model.passes) == speed.WARM_UP + 3


def test_the_machine_is_named():
    import os
    import platform

    assert speed.machine().startswith(platform.system()) and f"{os.cpu_count()} processors" in speed.machine()
