"""Losses on the features of a frozen identity network. Each gives one value per image, float32 (N,)."""

from keras import ops

from deblur_zoo.annotations import Tensor

# Keeps the gradient of the square root finite where two feature vectors are equal.
_EPSILON = 1e-12


def facial(truth_features: Tensor, estimate_features: Tensor) -> Tensor:
    """Euclidean distance between two feature vectors (one-step paper, eq. 7).

    Args:
        truth_features, estimate_features: float (N, F), the last fully connected layer of a recognition network.
    """
    difference = ops.cast(estimate_features, "float32") - ops.cast(truth_features, "float32")
    return ops.sqrt(ops.sum(ops.square(difference), axis=-1) + _EPSILON)
