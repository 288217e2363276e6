"""A client of TensorFlow Serving, or of anything that speaks its REST or gRPC: needs neither TensorFlow nor Keras.
``python -m deblur_zoo.serving.client`` (also ``deblur-zoo-client``) restores a folder of crops.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
