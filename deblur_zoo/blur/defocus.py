"""Defocus: a point becomes a disc (a thin lens with a round aperture)."""

import math

import numpy as np

_PARTS = 16


def disc_kernel(radius):
    """The kernel of an out-of-focus lens.

    Each pixel's weight is the share of its area inside the disc, estimated from 16 x 16 points per pixel.

    Args:
        radius: of the disc in pixels, >= 0; 0 gives a single 1.

    Returns:
        float32 (K, K) of sum 1, K odd.

    Raises:
        ValueError: a negative or non-finite radius.
    """
    if not (math.isfinite(radius) and radius >= 0):
        raise ValueError(f"A disc's radius must be a number of pixels >= 0, got {radius!r}.")
    half = math.ceil(max(radius - 0.5, 0))
    position = (np.arange((2 * half + 1) * _PARTS) + 0.5) / _PARTS - half - 0.5
    inside = position[:, None] ** 2 + position**2 <= max(radius, 1 / _PARTS) ** 2
    weights = inside.reshape(2 * half + 1, _PARTS, 2 * half + 1, _PARTS).sum(axis=(1, 3))
    return (weights / weights.sum()).astype(np.float32)
