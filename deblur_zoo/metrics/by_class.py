"""PSNR and SSIM within the pixels of semantic classes (Yasarla et al. 2020, table I)."""

from collections.abc import Mapping, Sequence

import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from deblur_zoo.annotations import Array
from deblur_zoo.metrics.image_quality import SSIM_TAPS, ssim_map
from deblur_zoo.metrics.parsing import UMSN_CLASSES


def quality_by_class(
    truth: ArrayLike,
    estimate: ArrayLike,
    labels: ArrayLike,
    classes: Mapping[str, Sequence[int]] = UMSN_CLASSES,
    cap: float = 60.0,
) -> dict[str, tuple[Array, Array]]:
    """Quality of each image in each class.

    PSNR is that of the mean squared error over the class's pixels. SSIM is the mean of ``ssim``'s values over the
    class's pixels that are centres of whole windows, so a window also sees neighbouring classes.

    Args:
        truth, estimate: float (N, H, W, 3) in [0, 1], H and W at least 11.
        labels: integer (N, H, W).
        classes: labels of each class by its name.
        cap: largest PSNR, in dB.

    Returns:
        dict of class to (PSNR in dB, SSIM), float64 (N,) each; NaN where an image has no pixels of the class.

    Raises:
        TypeError: integer images.
        ValueError: shapes that differ, or images smaller than a window.
    """
    truth, estimate, labels = np.asarray(truth), np.asarray(estimate), np.asarray(labels)
    similarity = np.asarray(ops.convert_to_numpy(ssim_map(truth, estimate)), np.float64).mean(axis=-1)
    if labels.shape != truth.shape[:3]:
        raise ValueError(f"labels of shape {labels.shape} do not match images of shape {truth.shape}")
    squares = np.square(truth.astype(np.float64) - estimate).mean(axis=-1)
    border = SSIM_TAPS // 2
    found = {}
    for name, members in classes.items():
        mask = np.isin(labels, members)
        with np.errstate(divide="ignore"):
            psnr = -10 * np.log10(_masked_mean(squares, mask))
        inside = mask[:, border:-border, border:-border]
        found[name] = np.minimum(psnr, cap), _masked_mean(similarity, inside)
    return found


def _masked_mean(values: Array, mask: Array) -> Array:
    count = mask.sum(axis=(1, 2))
    return np.divide((values * mask).sum(axis=(1, 2)), count, out=np.full(len(count), np.nan), where=count > 0)
