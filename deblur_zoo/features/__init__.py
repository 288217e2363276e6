"""Frozen feature networks for losses and metrics, loaded from files.

Each network converts its input itself (range, channel order, warp).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
