"""Pixel losses. Each takes (truth, estimate), float (N, H, W, C), and gives one value per image, float32 (N,)."""

import math

from keras import ops

from deblur_zoo.annotations import Tensor


def _difference(truth: Tensor, estimate: Tensor) -> Tensor:
    return ops.cast(estimate, "float32") - ops.cast(truth, "float32")


def _mean_over_image(values: Tensor) -> Tensor:
    return ops.mean(values, axis=tuple(range(1, len(values.shape))))


def absolute(values: Tensor) -> Tensor:
    """Absolute values with gradient 0 at 0 on every backend; JAX's is 1, which pulls at a perfect result."""
    return values * ops.stop_gradient(ops.sign(values))


def l1(truth: Tensor, estimate: Tensor) -> Tensor:
    """Mean absolute difference over pixels and channels."""
    return _mean_over_image(absolute(_difference(truth, estimate)))


def l2(truth: Tensor, estimate: Tensor) -> Tensor:
    """Mean squared difference over pixels and channels (one-step paper, eq. 5)."""
    return _mean_over_image(ops.square(_difference(truth, estimate)))


def negative_psnr(truth: Tensor, estimate: Tensor) -> Tensor:
    """Minus the PSNR in dB of images in [0, 1] (Chen et al. 2021, HINet, CVPR workshops, section 3.3).

    A mean squared error over several images is dominated by the worst; decibels weigh a small blur as much as a large
    one. The PSNR is capped at 40 dB: above that, copying a sharp input exactly outweighs restoring a blurred one.
    """
    return (10 / math.log(10)) * ops.log(l2(truth, estimate) + 1e-4)


def total_variation(truth: Tensor, estimate: Tensor) -> Tensor:
    """Mean squared difference between neighbouring pixels of the estimate (one-step paper, eq. 6).

    The paper sums over the image; the mean makes the weight independent of the image's size. The truth is unused; it is
    accepted so that all losses have the same signature. A side of one pixel adds nothing.
    """
    del truth
    estimate = ops.cast(estimate, "float32")
    shape = ops.shape(estimate)
    pixels = ops.cast(shape[1] * shape[2] * shape[3], "float32")
    horizontal = ops.square(estimate[:, :, 1:, :] - estimate[:, :, :-1, :])
    vertical = ops.square(estimate[:, 1:, :, :] - estimate[:, :-1, :, :])
    return (ops.sum(horizontal, axis=(1, 2, 3)) + ops.sum(vertical, axis=(1, 2, 3))) / pixels
