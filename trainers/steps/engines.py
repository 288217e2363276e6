"""The training step and the batches for the current Keras backend."""

from deblur_zoo.data import batches
from deblur_zoo.execution import backend_name


def check_backend():
    """The current backend.

    Raises:
        ValueError: a backend without a training step.
    """
    return backend_name("training", ("tensorflow", "jax"))


def trainer_class():
    """The RestorationTrainer for the current backend."""
    if check_backend() == "jax":
        from trainers.steps.jax_step import JaxTrainer

        return JaxTrainer
    from trainers.steps.tensorflow_step import TensorFlowTrainer

    return TensorFlowTrainer


def training_batches(pair_maker, batch_size, first_step, place="auto"):
    """Endless batches of a pair maker: a tf.data.Dataset under TensorFlow, else a generator, with the same pairs.

    Args:
        pair_maker: a PairMaker.
        batch_size: pairs per step.
        first_step: the step to start at.
        place: where pairs are rendered: "host", "device" or "auto", see ``deblur_zoo.data.places``.
    """
    if check_backend() == "jax":
        from deblur_zoo.execution.jax import jit

        return batches.training_batches(pair_maker, batch_size, first_step, place, compile=jit)
    from deblur_zoo.data import pipeline

    return pipeline.training_batches(pair_maker, batch_size, first_step, place)
