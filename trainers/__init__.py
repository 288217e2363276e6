"""Training: one file per method (losses, stages) and one training step per backend.

``trainers.train`` and ``python -m trainers`` train a preset by its recipe; ``trainers.Method`` and
``trainers.register_method`` add a method. Names are imported on first use, so importing this package does not import
Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
