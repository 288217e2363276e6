"""Photos and folders of them in, restored ones out: the ``Restorer`` and the ``deblur-zoo`` command.
What callers need is resolved on first use; ``folders.py`` has the documentation.
"""

import importlib

_LAZY = dict.fromkeys(("Report", "Restorer", "plan"), "deblur_zoo.restoration.folders")
__all__ = list(_LAZY)


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'deblur_zoo.restoration' has no attribute {name!r}; it has {', '.join(__all__)}")
