"""Functions compiled under JAX, and the devices they run on."""

import jax
import keras
import numpy as np

# For modules that do not import JAX: compiles a pure function of the backend's arrays, once per shape.
jit = jax.jit


def compiled(function, model=None):
    """As ``trainers.steps.tensorflow_execution.compiled``."""
    variables = [] if model is None else model.variables

    @jax.jit
    def stateless(values, arrays):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arrays)

    return lambda *arrays: jax.tree.map(np.asarray, stateless([variable.value for variable in variables], arrays))


def device_names():
    """Names of the accelerators; empty if there are none."""
    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
