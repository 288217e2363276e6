"""Local structural loss of Shen et al. 2020: a pixel loss restricted to the small components of a face."""

from keras import ops

from deblur_zoo.annotations import Tensor
from deblur_zoo.face_classes import COMPONENTS
from deblur_zoo.losses.content import absolute


def component_masks(labels: Tensor) -> Tensor:
    """Masks of the eight components from a parsing.

    Background, skin and hair have little texture and are left out (section 3.3 of the paper).

    Args:
        labels: integer (N, H, W); unknown pixels (255) belong to no component.

    Returns:
        float32 (N, H, W, 8), 0 or 1, in the order of ``face_classes.COMPONENTS``.
    """
    labels = ops.expand_dims(ops.cast(labels, "int32"), -1)
    return ops.cast(ops.equal(labels, ops.convert_to_tensor(COMPONENTS, "int32")), "float32")


def equal_structural(truth: Tensor, estimate: Tensor, masks: Tensor) -> Tensor:
    """Sum over components of the mean absolute difference inside the component (eq. 6, weights of 1 as in 2018).

    The mean is over all pixels and channels of the image, so a small component gives a small value.

    Args:
        truth, estimate: float (N, H, W, C).
        masks: float (N, H, W, K), non-negative, of the sharp image; an empty one adds nothing.

    Returns:
        float32 (N,).
    """
    return _weighted(truth, estimate, ops.sum(ops.cast(masks, "float32"), axis=-1, keepdims=True))


def adaptive_structural(
    truth: Tensor, estimate: Tensor, masks: Tensor, constant: float | None = None, minimum_size: float = 0.0
) -> Tensor:
    """Sum over components, each weighted by w_k = c / A_k with A_k its size in pixels (eq. 6 and 7).

    An absent component adds nothing and does not cause a division by zero.

    Args:
        truth, estimate: float (N, H, W, C).
        masks: float (N, H, W, K), non-negative, of the sharp image.
        constant: c in pixels. None chooses it for each image so that the weights' mean over the components' pixels
            is 1, as with equal weights: c = mean A_k of the components present.
        minimum_size: a component is present if its size exceeds this. Zero is right for masks of 0 and 1; soft masks
            are never quite empty and need a few pixels.

    Returns:
        float32 (N,).
    """
    masks = ops.cast(masks, "float32")
    sizes = ops.sum(masks, axis=(1, 2), keepdims=True)
    present = ops.greater(sizes, minimum_size)
    counted = ops.cast(present, "float32")
    if constant is None:
        count = ops.maximum(ops.sum(counted, axis=-1, keepdims=True), 1.0)
        constant = ops.sum(sizes * counted, axis=-1, keepdims=True) / count
    # The size of an absent component is replaced before the division: the gradient of an unused infinity is NaN.
    weights = counted * constant / ops.where(present, sizes, ops.ones_like(sizes))
    return _weighted(truth, estimate, ops.sum(weights * masks, axis=-1, keepdims=True))


def _weighted(truth: Tensor, estimate: Tensor, weight_map: Tensor) -> Tensor:
    difference = absolute(ops.cast(estimate, "float32") - ops.cast(truth, "float32"))
    return ops.mean(weight_map * difference, axis=(1, 2, 3))
