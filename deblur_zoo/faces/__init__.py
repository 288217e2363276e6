"""Face detection, the canonical alignment with its inverse, and pasting back.
``python -m deblur_zoo.faces`` aligns a folder of photos into crops.
"""

import importlib

_LAZY = {
    "Detector": "deblur_zoo.faces.detection",
    "Face": "deblur_zoo.faces.detection",
    "detect": "deblur_zoo.faces.detection",
    "align": "deblur_zoo.faces.warp",
    "paste_back": "deblur_zoo.faces.warp",
}
__all__ = list(_LAZY)


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'deblur_zoo.faces' has no attribute {name!r}; it has {', '.join(__all__)}")
