"""Image quality, identity and parsing measures for tables, each stating its range, window and border.

Losses for training are in ``losses``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
