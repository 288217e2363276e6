"""Training on several devices or machines.

``base.py`` is the interface for runs; ``factory.py`` chooses among the implementations in ``tensorflow.py`` and
``jax.py``.
"""
