"""Making data to train on: labels for faces, public parsing folders, pairs from videos, cross-validation.
Each command line has a file or a folder here, such as ``python -m trainers.datasets.label_faces``.
"""
