"""The training step for each backend, optimisers and schedules.
``engines.py`` chooses by the backend in use. Nothing here knows which method is trained.
"""
