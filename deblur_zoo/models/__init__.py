"""The networks of each paper, one file per paper, without anything about training.

``deblurrer.py`` and ``parser.py`` are their base classes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
