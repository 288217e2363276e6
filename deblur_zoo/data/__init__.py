"""Readers, augmentation, host-side blur and the tf.data pipeline: faces on disk to training batches.
OpenCV and TensorFlow may be used by name here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
