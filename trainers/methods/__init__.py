"""A file a method for its losses and stages; ``method.py`` is what a method says of its training.
``registry.py`` finds a method by the name that a recipe gives.
"""
