"""One file a paper: the networks of that paper and nothing about training.
``deblurrer.py`` and ``parser.py`` are the base classes that they share.
"""
