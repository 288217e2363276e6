"""The networks of each paper, one file per paper, without anything about training.

``deblurrer.py`` and ``parser.py`` are their base classes.
"""
