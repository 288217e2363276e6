"""The training step under JAX: stateless calls, one compiled function.
Nothing here knows which method is trained, and nothing needs TensorFlow.
"""
