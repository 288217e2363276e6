"""JAX's compiler, for functions that are written in ``keras.ops``."""

import jax


def compiled(function):
    """The function, compiled once for each shape of its arguments."""
    return jax.jit(function)
