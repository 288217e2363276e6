"""The zoo: presets by name, directory or URI, their weights, golden outputs and multiply-adds.
What callers need is resolved on first use; ``registry.py`` has the documentation.
"""

import importlib

_LAZY = {
    "Description": "deblur_zoo.zoo.registry",
    "describe": "deblur_zoo.zoo.registry",
    "hub_folder": "deblur_zoo.zoo.registry",
    "list_models": "deblur_zoo.zoo.registry",
    "load": "deblur_zoo.zoo.registry",
    "load_initial_weights": "deblur_zoo.zoo.registry",
    "preset_folder": "deblur_zoo.zoo.registry",
    "load_weights": "deblur_zoo.zoo.weights",
    "save_weights_float16": "deblur_zoo.zoo.weights",
    "save_preset": "deblur_zoo.zoo.presets",
}
__all__ = list(_LAZY)


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'deblur_zoo.zoo' has no attribute {name!r}; it has {', '.join(__all__)}")
