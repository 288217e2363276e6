"""The training step and compiled functions for each backend, optimisers and schedules.

``engines.py`` and ``execution.py`` choose by the current backend. This package does not depend on the method.
"""
