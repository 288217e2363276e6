"""What goes with which Keras backend: the training step, and the batches it takes."""

import keras

BACKENDS = ("tensorflow", "jax")


def check_backend():
    """The backend in use.

    Raises:
        ValueError: a backend without a training step.
    """
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise ValueError(
            f"there is no training step for the Keras backend {backend!r}; accepted: {', '.join(BACKENDS)}"
        )
    return backend


def trainer_class():
    """The RestorationTrainer of the backend in use."""
    if check_backend() == "jax":
        from trainers.steps.jax_step import JaxTrainer

        return JaxTrainer
    from trainers.steps.tensorflow_step import TensorFlowTrainer

    return TensorFlowTrainer


def training_batches(pair_maker, batch_size, first_step, place="auto"):
    """Endless batches of a pair maker: a tf.data.Dataset under TensorFlow, a generator elsewhere; the same pairs.

    Args:
        pair_maker: a PairMaker.
        batch_size: pairs a step.
        first_step: the step to start at.
        place: where pairs are rendered: "host", "device" or "auto", see ``deblur_zoo.data.places``.
    """
    if check_backend() == "jax":
        from deblur_zoo.data import batches
        from deblur_zoo.execution.jax import jit

        return batches.training_batches(pair_maker, batch_size, first_step, place, compile=jit)
    from deblur_zoo.data import pipeline

    return pipeline.training_batches(pair_maker, batch_size, first_step, place)
