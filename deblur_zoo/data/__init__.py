"""Readers, augmentation, host-side blur and the tf.data pipeline: faces on disk to training batches.
OpenCV and TensorFlow may be used by name here.
"""
