"""Protocols, tables, plots and contact sheets in one report: the source of every number in the documents.

``deblur-zoo-eval``, or ``python -m deblur_zoo.evaluation``, compares presets and other methods on test sets; with
``--document`` it writes docs/results.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
