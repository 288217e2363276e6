"""Methods by their names in recipes: those of this folder and those that users register."""

import importlib
import pkgutil

from trainers import methods
from trainers.methods.method import REGISTERED, Method


def method_class(name: str) -> type[Method]:
    """The Method of a recipe.

    Raises:
        ValueError: nothing is registered under the name.
    """
    for module in pkgutil.iter_modules(methods.__path__):
        importlib.import_module(f"{methods.__name__}.{module.name}")
    if name not in REGISTERED:
        raise ValueError(
            f"unknown method {name!r}; accepted: {', '.join(sorted(REGISTERED))}, and methods "
            "registered by trainers.register_method"
        )
    return REGISTERED[name]
