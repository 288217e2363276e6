"""Training: one file a method (losses, stages) and one training step per backend.
``trainers.train`` and ``python -m trainers`` train a preset from the recipe that travels with it; ``trainers.Method``
and ``trainers.register_method`` add a method. Resolved on first use: importing this package imports no Keras.
"""

import importlib

_LAZY = {
    "train": "trainers.training",
    "Method": "trainers.methods.method",
    "register_method": "trainers.methods.method",
}
__all__ = list(_LAZY)


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'trainers' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted(__all__)
