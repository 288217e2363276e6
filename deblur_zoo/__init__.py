"""Five published methods for removing motion blur from face photos, in Keras 3, loaded by name.

    deblur_zoo.load("one_step_lite").deblur("face.jpg")

The packages of the library and the names listed in ``__init__.pyi`` are imported on first use: importing this one
imports neither Keras nor TensorFlow.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
