"""From faces on disk to training batches: readers, augmentation, host-side blur and the tf.data pipeline.

This package may import OpenCV and TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
