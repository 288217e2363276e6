"""PSNR and SSIM per image, in ``keras.ops``: on every backend, in and outside a graph.

Both take float RGB in [0, 1], NHWC, and compute in float32 for any input dtype. No border is cropped, but SSIM averages
only over windows fully inside the image.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from deblur_zoo.annotations import Array, Tensor

# In dB, for averages: equal images have an infinite PSNR, and rounding one image to 8 bits limits it to 59 dB.
PSNR_CAP = 60.0
SSIM_TAPS = 11
SSIM_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(truth: Tensor, estimate: Tensor) -> Tensor:
    """Peak signal-to-noise ratio over all pixels and channels, with peak 1.

    Args:
        truth, estimate: float (N, H, W, C) in [0, 1].

    Returns:
        float32 (N,), in dB; infinite if the two are equal.

    Raises:
        TypeError: an integer array (its range would be 0-255).
        ValueError: shapes that differ or are not (N, H, W, C).
    """
    truth, estimate = _as_float_pair(truth, estimate)
    error = ops.mean(ops.square(truth - estimate), axis=(1, 2, 3))
    return -10.0 * ops.log10(error)


def ssim(truth: Tensor, estimate: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), averaged over windows inside the image and over channels.

    Gaussian window of 11 taps and sigma 1.5, population covariance, K1 = 0.01, K2 = 0.03, peak 1: the same as
    ``tf.image.ssim``.

    Args:
        truth, estimate: float (N, H, W, C) in [0, 1], H and W at least 11.

    Returns:
        float32 (N,), at most 1.

    Raises:
        TypeError: an integer array.
        ValueError: shapes that differ, are not (N, H, W, C), or are smaller than a window.
    """
    return ops.mean(ssim_map(truth, estimate), axis=(1, 2, 3))


def ssim_map(truth: Tensor, estimate: Tensor) -> Tensor:
    """The values that ``ssim`` averages; arguments and errors as there.

    Returns:
        float32 (N, H - 10, W - 10, C): position (0, 0) is the window around pixel (5, 5).
    """
    truth, estimate = _as_float_pair(truth, estimate)
    height, width = truth.shape[1:3]
    if (height is not None and height < SSIM_TAPS) or (width is not None and width < SSIM_TAPS):
        raise ValueError(f"SSIM needs images of at least {SSIM_TAPS}x{SSIM_TAPS} pixels, got {height}x{width}")
    return _similarity(truth, estimate, _smooth)


def ssim_volume(truth: Tensor, estimate: Tensor) -> Tensor:
    """SSIM as MATLAB's ``ssim`` computes it for an RGB array, which it takes for a volume of three slices.

    The Gaussian window of sigma 1.5 has 11x11x11 taps and also runs across the channels; beyond the border, and
    beyond red and blue, the nearest value is repeated; the mean is over all pixels. Most published numbers are of this
    kind. It exceeds ``ssim`` where the channels differ little.

    Args:
        truth, estimate: float (N, H, W, 3) in [0, 1].

    Returns:
        float32 (N,), at most 1.

    Raises:
        TypeError: an integer array.
        ValueError: shapes that differ or are not (N, H, W, 3).
    """
    truth, estimate = _as_float_pair(truth, estimate)
    if truth.shape[-1] != 3:
        raise ValueError(f"SSIM of a volume needs images of 3 channels, got {truth.shape[-1]}")
    return ops.mean(_similarity(truth, estimate, _smooth_volume), axis=(1, 2, 3))


def _similarity(truth: Tensor, estimate: Tensor, smooth: Callable[[Tensor], Tensor]) -> Tensor:
    # Subtracting 0.5 leaves covariances unchanged and loses fewer digits to cancellation in bright regions.
    truth, estimate = truth - 0.5, estimate - 0.5
    # One pass over all maps; the variances enter only as a sum, so one map of summed squares serves for both.
    maps = ops.concatenate([truth, estimate, truth * estimate, ops.square(truth) + ops.square(estimate)], axis=-1)
    mean_truth, mean_estimate, product, squares = ops.split(smooth(maps), 4, axis=-1)
    covariance = product - mean_truth * mean_estimate
    variances = squares - ops.square(mean_truth) - ops.square(mean_estimate)
    mean_truth, mean_estimate = mean_truth + 0.5, mean_estimate + 0.5
    luminance = (2.0 * mean_truth * mean_estimate + _C1) / (ops.square(mean_truth) + ops.square(mean_estimate) + _C1)
    contrast_structure = (2.0 * covariance + _C2) / (variances + _C2)
    return luminance * contrast_structure


def _window() -> Array:
    distance = np.arange(SSIM_TAPS) - (SSIM_TAPS - 1) / 2
    window = np.exp(-(distance**2) / (2 * SSIM_SIGMA**2))
    return (window / window.sum()).astype(np.float32)


def _smooth(maps: Tensor) -> Tensor:
    """Apply the Gaussian window wherever it fits: (N, H, W, C) -> (N, H - 10, W - 10, C)."""
    channels = maps.shape[-1]
    kernel = np.tile(_window()[:, None, None, None], (1, 1, channels, 1))
    maps = ops.depthwise_conv(maps, kernel, padding="valid", data_format="channels_last")
    return ops.depthwise_conv(maps, kernel.transpose(1, 0, 2, 3), padding="valid", data_format="channels_last")


def _smooth_volume(maps: Tensor) -> Tensor:
    """Apply the window to four groups of three channels as volumes: (N, H, W, 12), unchanged in shape."""
    radius = SSIM_TAPS // 2
    for axis in (1, 2):
        length = ops.shape(maps)[axis]
        maps = ops.take(maps, ops.clip(ops.arange(-radius, length + radius), 0, length - 1), axis=axis)
    channels = np.zeros((3, 3), np.float32)
    for channel in range(3):
        np.add.at(channels[channel], np.clip(np.arange(channel - radius, channel + radius + 1), 0, 2), _window())
    maps = _smooth(maps)
    groups = ops.reshape(maps, (*ops.shape(maps)[:3], 4, 3))
    return ops.reshape(ops.einsum("nhwgc,kc->nhwgk", groups, channels), ops.shape(maps))


def _as_float_pair(truth: Tensor, estimate: Tensor) -> list[Tensor]:
    pair = []
    for name, images in (("truth", truth), ("estimate", estimate)):
        images = ops.convert_to_tensor(images)
        dtype = keras.backend.standardize_dtype(images.dtype)
        if "float" not in dtype:
            raise TypeError(f"{name} must be float in [0, 1], got {dtype}")
        if len(images.shape) != 4:
            raise ValueError(f"{name} must be a batch of images (N, H, W, C), got shape {tuple(images.shape)}")
        pair.append(ops.cast(images, "float32"))
    if tuple(pair[0].shape) != tuple(pair[1].shape) and None not in (*pair[0].shape, *pair[1].shape):
        shapes = " and ".join(str(tuple(images.shape)) for images in pair)
        raise ValueError(f"truth and estimate must have the same shape, got {shapes}")
    return pair
