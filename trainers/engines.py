"""Which training step goes with which Keras backend."""

import keras


def trainer_class():
    """The RestorationTrainer of the backend in use.

    Raises:
        ValueError: a backend without a training step.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from trainers.tensorflow.step import TensorFlowTrainer

        return TensorFlowTrainer
    if backend == "jax":
        from trainers.jax.step import JaxTrainer

        return JaxTrainer
    raise ValueError(f"there is no training step for the Keras backend {backend!r}; accepted: tensorflow, jax")
