"""The training step under TensorFlow: GradientTape, mixed precision, tf.data.
Nothing here knows which method is trained.
"""
