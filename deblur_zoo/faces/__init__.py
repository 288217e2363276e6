"""Face detection, the canonical alignment with its inverse, and pasting back.
``python -m deblur_zoo.faces`` aligns a folder of photos into crops.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
