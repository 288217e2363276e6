"""The zoo: presets by name, directory or URI, their weights, golden outputs and multiply-adds.
Public names are imported on first use; ``registry.py`` documents them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
