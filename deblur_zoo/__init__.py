"""Five published methods for removing motion blur from face photos, in Keras 3, loaded by name.

``load``, ``list_models``, ``describe`` and ``Restorer`` are resolved on first use: importing this package
imports neither Keras nor TensorFlow.
"""

import importlib

import wrapt

__version__ = "0.1.0"

_LAZY = {
    "load": "deblur_zoo.zoo",
    "list_models": "deblur_zoo.zoo",
    "describe": "deblur_zoo.zoo",
    "Restorer": "deblur_zoo.restoration",
}
__all__ = ["__version__", *_LAZY]

# For keras.saving.load_model: at once if Keras is imported already, else right after it is.
wrapt.register_post_import_hook("deblur_zoo.zoo.keras_classes:register", "keras")


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'deblur_zoo' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted(__all__)
