"""The methods that can be trained, by the name that a recipe gives."""

import importlib

METHODS = {
    "one_step": ("trainers.one_step", "OneStepMethod"),
    "semantic_face": ("trainers.semantic_face", "SemanticFaceMethod"),
    "face_parser": ("trainers.semantic_face", "FaceParserMethod"),
}


def method_class(name):
    """The Method of a recipe.

    Raises:
        ValueError: a method without a trainer.
    """
    if name not in METHODS:
        raise ValueError(f"method {name!r} has no trainer; accepted: {', '.join(METHODS)}")
    module, attribute = METHODS[name]
    return getattr(importlib.import_module(module), attribute)
