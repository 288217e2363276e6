"""Measuring a model while it is trained: the development sets of each kind of model, and dead features.
``kinds.py`` chooses the set by the model's kind.
"""
