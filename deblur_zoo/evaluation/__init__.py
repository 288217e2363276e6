"""Protocols, tables and contact sheets: the source of every number in the documents.

``python -m deblur_zoo.evaluation`` measures a preset on a folder of aligned faces, and
``python -m deblur_zoo.evaluation.results`` all presets and classical methods.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
