"""Frozen feature networks for losses and metrics, loaded from a path that the caller gives.
Input conversion (range, channel order, warp) is part of each network.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
