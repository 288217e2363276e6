"""One training on several devices or machines.
``base.py`` is what a run knows of it; ``factory.py`` chooses among those of ``tensorflow.py`` and ``jax.py``.
"""
