"""Similarity of two faces according to an identity network."""

from keras import ops

from deblur_zoo.annotations import Tensor


def identity_cosine(truth: Tensor, estimate: Tensor) -> Tensor:
    """Cosine of the angle between identity embeddings.

    Args:
        truth, estimate: float (N, D), embeddings of ``deblur_zoo.features.identity``, normalised or not.

    Returns:
        float32 (N,) in [-1, 1]; 1 for equal directions. An embedding of length 0 gives 0.

    Raises:
        ValueError: shapes that differ or are not (N, D).
    """
    truth, estimate = (ops.cast(ops.convert_to_tensor(value), "float32") for value in (truth, estimate))
    if len(truth.shape) != 2 or tuple(truth.shape) != tuple(estimate.shape):
        raise ValueError(
            f"expected two arrays of embeddings (N, D), got the shapes {tuple(truth.shape)} and {tuple(estimate.shape)}"
        )
    product = ops.sum(truth * estimate, axis=-1)
    lengths = ops.sqrt(ops.sum(ops.square(truth), axis=-1) * ops.sum(ops.square(estimate), axis=-1))
    return ops.clip(product / ops.maximum(lengths, 1e-12), -1.0, 1.0)
