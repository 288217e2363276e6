"""One file per method for its losses and stages; ``method.py`` is the base class.
Each registers itself under its name in recipes; ``registry.py`` finds it.
"""
