"""Losses on face parsing. Each gives one value per image, float32 (N,)."""

from keras import ops

from deblur_zoo.annotations import Tensor
from deblur_zoo.face_classes import UNKNOWN

# A probability of 0 (float16 rounds to it) must have a finite cost and a gradient.
_EPSILON = 1e-7


def cross_entropy(truth: Tensor, estimate: Tensor, from_logits: bool = False) -> Tensor:
    """Mean over labelled pixels of -log of the true class's probability (Shen et al. 2020, eq. 4).

    An image without labelled pixels costs 0.

    Args:
        truth: integer (N, H, W), labels below K, or 255 for unknown.
        estimate: float (N, H, W, K): probabilities that sum to 1, or logits.
        from_logits: the estimate is logits (more accurate).
    """
    truth = ops.cast(truth, "int32")
    estimate = ops.cast(estimate, "float32")
    known = ops.not_equal(truth, UNKNOWN)
    classes = ops.one_hot(ops.where(known, truth, ops.zeros_like(truth)), estimate.shape[-1], dtype="float32")
    if from_logits:
        logarithms = ops.log_softmax(estimate, axis=-1)
    else:
        # A clip would have no gradient just where the estimate is most wrong. A probability of 1 costs exactly 0.
        logarithms = ops.log((estimate + _EPSILON) / (1.0 + _EPSILON))
    known = ops.cast(known, "float32")
    costs = -ops.sum(classes * logarithms, axis=-1) * known
    return ops.sum(costs, axis=(1, 2)) / ops.maximum(ops.sum(known, axis=(1, 2)), 1.0)
