"""The training step for each backend, optimisers and schedules.

``engines.py`` chooses by the current backend. This package does not depend on the method.
"""
