"""Image quality and identity measures, each stating its range, window and border.
Losses that are trained on live in ``losses``; numbers that tables report live here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
