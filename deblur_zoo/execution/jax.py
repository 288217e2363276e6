"""Functions compiled under JAX, and the devices they run on."""

import jax
import keras
import numpy as np

# For engines, which do not name JAX: a pure function of the backend's arrays, compiled once for each shape of them.
jit = jax.jit


def compiled(function, model=None):
    """As ``deblur_zoo.execution.compiled``."""
    variables = [] if model is None else model.variables

    @jax.jit
    def stateless(values, arrays):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arrays)

    return lambda *arrays: jax.tree.map(np.asarray, stateless([variable.value for variable in variables], arrays))


def network(model):
    """A model as a function of float32 arrays (N, H, W, 3).

    XLA compiles for each shape. So that few occur, the border is mirrored to a multiple of ``size_divisor``, as the
    model itself would do, and a batch is filled up to a power of two with its first picture.
    """
    run = compiled(lambda images: model(images, training=False), model)
    divisor = getattr(model, "size_divisor", 1)

    def restored(images):
        count, height, width, _ = images.shape
        filling = (1 << (count - 1).bit_length()) - count
        images = np.concatenate([images, np.repeat(images[:1], filling, axis=0)])
        images = np.pad(images, ((0, 0), (0, -height % divisor), (0, -width % divisor), (0, 0)), mode="reflect")
        return run(images)[:count, :height, :width]

    return restored


def accelerators():
    """Names of the accelerators; empty where there is none."""
    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
