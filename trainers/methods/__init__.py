"""A file a method for its losses and stages; ``method.py`` is what a method says of its training.
Each registers itself by the name that a recipe gives; ``registry.py`` finds it.
"""
