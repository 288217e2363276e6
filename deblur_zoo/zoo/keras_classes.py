"""Make Keras find the zoo's classes in saved models before their modules are imported.

``keras.saving.load_model`` looks up classes in Keras' registry alone. Ours are there once their modules are imported,
and those import Keras, which ``import deblur_zoo`` must not. So, once a program imports Keras, the registry gets a
stand-in for each class, which imports the class when a file names it. The modules themselves cannot be imported then:
one of them may be importing Keras, and be only half imported itself.
"""

import importlib

from deblur_zoo.zoo.classes import CLASSES, TRAINING_CLASSES

PACKAGE = "deblur_zoo"
# Class to the module that defines it and puts it in the place of its stand-in.
MODULES = {**CLASSES, **TRAINING_CLASSES, "InceptionModule": "deblur_zoo.models.one_step"}


def register(keras):
    """Put stand-ins for the classes that are not yet imported into the registry of the module ``keras``."""
    for name, module in MODULES.items():
        keras.saving.get_custom_objects().setdefault(f"{PACKAGE}>{name}", _stand_in(name, module))


def _stand_in(name, module):
    def from_config(cls, config):
        return getattr(importlib.import_module(module), name).from_config(config)

    return type(name, (), {"__module__": module, "from_config": classmethod(from_config)})
