"""Compiled functions and models on whatever Keras backend is in use: the one place where anything is compiled.
``tensorflow.py``, ``jax.py`` and ``torch.py`` each have ``compiled``, ``network`` and ``accelerators``.
"""

import importlib
import platform
import threading
from pathlib import Path

# Making a network traces it; later calls take no lock.
_lock = threading.RLock()
# The attribute of a model that holds its compiled network. A saved, pickled or cloned model is made of its config and
# weights, and so leaves it behind.
_ATTRIBUTE = "_compiled_network"


def compiled(function, model=None):
    """A function of arrays, compiled where the backend compiles.

    Args:
        function: takes arrays and gives tensors, one or a dict of them; may call ``model``.
        model: the model that it calls.

    Returns:
        function of NumPy arrays that gives NumPy arrays. It reads the model's current weights at each call.
    """
    return _backend().compiled(function, model)


def run(model, images):
    """What ``model(images, training=False)`` gives, compiled once for each model.

    TensorFlow traces one graph of dynamic shape, for any size and batch. JAX compiles for each size, rounded up to the
    model's ``size_divisor``, and for batches of 1, 2, 4, 8 and so on. Torch runs the layers one by one. Any number of
    threads may call it. What ``model.compile`` set is neither used nor changed.

    Args:
        model: a ``keras.Model`` of pictures, such as a ``Deblurrer`` or a ``Parser``. Weights may change between calls.
        images: float32 (N, H, W, 3).

    Returns:
        NumPy array (N, H, W, C).
    """
    network = _current_network(model)
    if network is None:
        with _lock:
            network = _current_network(model)
            if network is None:
                if not model.built:
                    model.build((None, None, None, 3))
                network = _Network(model)
                setattr(model, _ATTRIBUTE, network)
    return network.run(images)


def device_names():
    """What is computed on: the accelerators' names, or the processor's."""
    return _backend().accelerators() or [_processor()]


def has_accelerator():
    """Whether there is an accelerator to compute on."""
    return bool(_backend().accelerators())


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()


class _Network:
    """A compiled model. A plain object: Keras and TensorFlow track layers, functions and lists that a model holds."""

    def __init__(self, model):
        self.variables = model.variables
        self.run = _backend().network(model)


def _current_network(model):
    """The model's compiled network; None where there is none, or where it has other variables by now.

    Quantising a model and adding adapters replace variables; loading weights and training do not.
    """
    network = getattr(model, _ATTRIBUTE, None)
    if network is None:
        return None
    now, then = model.variables, network.variables
    same = len(now) == len(then) and all(one is other for one, other in zip(now, then, strict=True))
    return network if same else None


def backend_name(what="deblur_zoo", accepted=("tensorflow", "jax", "torch")):
    """The name of Keras' backend.

    Args:
        what: needs one of the accepted backends, and begins the error's sentence.
        accepted: names.

    Raises:
        ValueError: another backend.
    """
    import keras

    name = keras.backend.backend()
    if name not in accepted:
        raise ValueError(f"{what} runs on the Keras backends {', '.join(accepted)}, not on {name!r}")
    return name


def _backend():
    return importlib.import_module(f"deblur_zoo.execution.{backend_name()}")
