"""Training: one file a method (losses, stages) and one training step per backend.
``trainers.train`` and ``python -m trainers`` train a preset from the recipe that travels with it; ``trainers.Method``
and ``trainers.register_method`` add a method. Resolved on first use: importing this package imports no Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
