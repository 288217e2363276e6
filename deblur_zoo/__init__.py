"""Five published methods for removing motion blur from face photos, in Keras 3, loaded by name.

    deblur_zoo.load("one_step").deblur("face.jpg")

The packages of the library and the names listed in ``__init__.pyi`` are imported on first use: importing this one
imports neither Keras nor TensorFlow.
"""

import lazy_loader
import wrapt

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# For keras.saving.load_model: at once if Keras is imported already, else right after it is.
wrapt.register_post_import_hook("deblur_zoo.zoo.keras_classes:register", "keras")
