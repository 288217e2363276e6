"""The methods that can be trained, by the name that a recipe gives."""

import importlib

METHODS = {
    "enhancement_gan": ("trainers.methods.enhancement_gan", "EnhancementGanMethod"),
    "one_step": ("trainers.methods.one_step", "OneStepMethod"),
    "semantic_face": ("trainers.methods.semantic_face", "SemanticFaceMethod"),
    "two_step_gan": ("trainers.methods.two_step_gan", "TwoStepGanMethod"),
    "umsn": ("trainers.methods.umsn", "UmsnMethod"),
    "face_parser": ("trainers.methods.semantic_face", "FaceParserMethod"),
    "umsn_parser": ("trainers.methods.umsn", "FourClassParserMethod"),
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
