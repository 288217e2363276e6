"""Class loss of Yasarla et al. 2020, weighted by a learned confidence."""

from keras import ops

from deblur_zoo.annotations import Tensor
from deblur_zoo.losses.content import absolute


def confidence_guided(
    truth: Tensor, estimate: Tensor, masks: Tensor, confidences: Tensor, weight: float = 0.01, smallest: float = 1e-6
) -> Tensor:
    """Sum over classes of C_i L(m_i estimate, m_i truth) - weight log(C_i) (eq. 4, where lambda is the weight).

    L is the mean absolute difference over all pixels and channels of the image, so a small class gives a small value;
    the paper does not say whether it is a sum. A class with an empty mask contributes only the logarithm, which pulls
    its confidence to 1.

    Args:
        truth, estimate: float (N, H, W, C).
        masks: float (N, H, W, M), non-negative, of the sharp image.
        confidences: float in [0, 1], one per class (N, M), or one per class and channel (N, M, C), where both terms are
            averaged over the channels.
        weight: lambda.
        smallest: lower bound of the confidences in the logarithm; below it the logarithm has no gradient.

    Returns:
        float32 (N,), never negative.
    """
    confidences = ops.cast(confidences, "float32")
    if len(confidences.shape) == 2:
        confidences = ops.expand_dims(confidences, -1)
    difference = absolute(ops.cast(estimate, "float32") - ops.cast(truth, "float32"))
    masks = ops.cast(masks, "float32")
    # (N, H, W, M, 1) times (N, H, W, 1, C), averaged over the pixels: one value per class and channel.
    costs = ops.mean(ops.expand_dims(masks, -1) * ops.expand_dims(difference, -2), axis=(1, 2))
    logarithms = ops.log(ops.maximum(confidences, smallest))
    return ops.sum(ops.mean(confidences * costs - weight * logarithms, axis=-1), axis=-1)
