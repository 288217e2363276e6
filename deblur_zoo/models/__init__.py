"""One file a paper: the networks of that paper and nothing about training.
``deblurrer.py`` is the base class that all of them share.
"""
