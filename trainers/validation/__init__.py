"""Validation during training: the development sets of each kind of model, and dead features.

``kinds.py`` chooses the set by the model's kind.
"""
