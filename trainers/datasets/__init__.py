"""Create training data: face labels, public parsing folders, pairs from videos, cross-validation.

Each command has a file or a folder here, such as ``python -m trainers.datasets.label_faces``.
"""
