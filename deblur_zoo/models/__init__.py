"""One file a paper: the networks of that paper and nothing about training.
``deblurrer.py`` and ``parser.py`` are the base classes that they share.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
