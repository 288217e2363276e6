"""Blur kernels, convolution with them, and noise.
Kernels are NumPy; convolution and noise are ``keras.ops`` and run on every backend.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
