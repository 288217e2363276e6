"""The training step and compiled functions for each backend, optimisers and schedules.
``engines.py`` and ``execution.py`` choose by the backend in use. Nothing here knows which method is trained.
"""
