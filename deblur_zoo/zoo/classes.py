"""The classes that presets and recipes may name: the zoo's, and those that the user has registered with Keras.

A file can never make the library import a module.
"""

import importlib

# Class name in config.json to the module that defines it.
CLASSES = {
    "EnhancementGan": "deblur_zoo.models.enhancement_gan",
    "FaceParser": "deblur_zoo.models.face_parser",
    "OneStep": "deblur_zoo.models.one_step",
    "SemanticFace": "deblur_zoo.models.semantic_face",
    "TwoStepGan": "deblur_zoo.models.two_step_gan",
    "Umsn": "deblur_zoo.models.umsn",
}
# Networks that are used only in training: a recipe may name them, a preset may not.
TRAINING_CLASSES = {
    "ConditionalDiscriminator": "deblur_zoo.models.two_step_gan_discriminator",
    "FaceDiscriminator": "deblur_zoo.models.semantic_face_discriminator",
    "PatchCritic": "deblur_zoo.models.enhancement_gan_critic",
    "SharpPathway": "deblur_zoo.models.two_step_gan_generator",
    "UmsnTrainingNetworks": "deblur_zoo.models.umsn_confidence",
}


def class_named(name, *, for_training=False):
    """The class that a config names. Imports nothing but the zoo's own modules.

    Args:
        name: a key of ``CLASSES``, or the name under which the user has registered a subclass of ``Deblurrer`` or
            ``Parser`` with Keras, such as "mine>Net".
        for_training: accept ``TRAINING_CLASSES`` and any registered ``keras.Model`` too.

    Raises:
        ValueError: neither.
    """
    table = {**CLASSES, **TRAINING_CLASSES} if for_training else CLASSES
    if isinstance(name, str) and name in table:
        return getattr(importlib.import_module(table[name]), name)
    import keras

    found = keras.saving.get_registered_object(name) if isinstance(name, str) else None
    if not isinstance(found, type) or not issubclass(found, keras.Model if for_training else _bases()):
        kind = "keras.Model" if for_training else "Deblurrer or Parser"
        raise ValueError(
            f"the class {name!r} is neither one of the zoo's ({', '.join(sorted(table))}) nor a {kind} registered with "
            "Keras: import the module that registers it first"
        )
    return found


def class_name(model_class):
    """The name that ``class_named`` finds a model's class by.

    Raises:
        ValueError: a class that is neither the zoo's nor registered.
    """
    import keras

    name = model_class.__name__
    # Compare the module too: another package's OneStep is not ours.
    if CLASSES.get(name) == model_class.__module__:
        return name
    if not issubclass(model_class, _bases()):
        raise ValueError(f"A preset holds a Deblurrer or a Parser, not a {name}.")
    registered = keras.saving.get_registered_name(model_class)
    if keras.saving.get_registered_object(registered) is not model_class:
        raise ValueError(
            f"{name} cannot be saved as a preset: decorate the class with "
            '@keras.saving.register_keras_serializable(package="..."), so that it is found again.'
        )
    return registered


def _bases():
    from deblur_zoo.models.deblurrer import Deblurrer
    from deblur_zoo.models.parser import Parser

    return Deblurrer, Parser


def check_no_modules(content, where):
    """Reject serialised objects that name a module outside Keras, which Keras might import to rebuild them.

    Args:
        content: what was read from JSON.
        where: begins the sentence.
    """
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            module = value.get("module")
            if module is not None and str(module).split(".")[0] not in ("keras", "builtins"):
                raise ValueError(
                    f"{where} names the module {module!r}; only classes registered with Keras are accepted."
                )
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
