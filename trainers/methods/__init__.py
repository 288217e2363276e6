"""One file per method for its losses and stages; ``method.py`` is the base class.
Each registers itself by the name that a recipe gives; ``registry.py`` finds it.
"""
