"""Networks of somebody else's: imported by the tests of the open registry, in this process and in others."""

import keras
from keras import layers, ops

from deblur_zoo.models.deblurrer import Deblurrer


@keras.saving.register_keras_serializable(package="own")
class Sharpen(Deblurrer):
    """A network whose arguments change it: ``width`` its weights, ``strength`` its output alone."""

    def __init__(self, width=4, strength=0.5, **kwargs):
        super().__init__(**kwargs)
        self.width, self.strength = width, strength
        self.first = layers.Conv2D(width, 3, padding="same", activation="relu")
        self.last = layers.Conv2D(3, 1)

    def restore(self, images, training=False):
        return images + self.strength * ops.cast(self.last(self.first(images)), "float32")

    def get_config(self):
        return {**super().get_config(), "width": self.width, "strength": self.strength}


def sharpen(width=6, strength=0.25):
    """A model with weights that float16 holds exactly."""
    model = Sharpen(width=width, strength=strength)
    model.build()
    for weight in model.weights:
        weight.assign(ops.cast(ops.cast(0.1 * ops.ones(weight.shape), "float16"), "float32"))
    return model
