"""Losses of Chrysos et al. 2019 other than the adversarial one. Each gives one value per image, float32 (N,).

The paper does not say whether its norms are sums or means; here they are means, so that weights do not depend on sizes.
"""

from keras import ops

from deblur_zoo.annotations import Tensor
from deblur_zoo.losses import content


def gradient(truth: Tensor, estimate: Tensor) -> Tensor:
    """Mean absolute difference of the image gradients (second term of eq. 4).

    The gradients are differences between horizontal and vertical neighbours; both are summed and divided by the number
    of pixels and channels, as in ``content.total_variation``. A side of one pixel adds nothing.

    Args:
        truth, estimate: float (N, H, W, C).
    """
    # The difference of gradients is the gradient of the difference.
    difference = ops.cast(estimate, "float32") - ops.cast(truth, "float32")
    shape = ops.shape(difference)
    values = ops.cast(shape[1] * shape[2] * shape[3], "float32")
    across = content.absolute(difference[:, :, 1:, :] - difference[:, :, :-1, :])
    down = content.absolute(difference[:, 1:, :, :] - difference[:, :-1, :, :])
    return (ops.sum(across, axis=(1, 2, 3)) + ops.sum(down, axis=(1, 2, 3))) / values


def projection(truth_features: Tensor, estimate_features: Tensor) -> Tensor:
    """Mean absolute difference of the discriminator's penultimate features (eq. 5).

    Args:
        truth_features, estimate_features: float (N, ...). This term does not train the discriminator: the caller
            takes its gradient with respect to the generator only.
    """
    return content.l1(truth_features, estimate_features)


def reconstruction(truth: Tensor, decoded: Tensor) -> Tensor:
    """Mean absolute difference between a sharp image and its reconstruction by the auto-encoding pathway G_s (eq. 6).

    Args:
        truth, decoded: float (N, H, W, C).
    """
    return content.l1(truth, decoded)
