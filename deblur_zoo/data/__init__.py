"""From faces on disk to training batches: readers, augmentation, host-side blur and the tf.data pipeline.

This package may import OpenCV and TensorFlow.
"""
