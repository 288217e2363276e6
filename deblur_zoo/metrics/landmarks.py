"""Landmark error and its cumulative curve (Chrysos et al. 2019, tables 5 to 7)."""

import numpy as np
from numpy.typing import ArrayLike

from deblur_zoo.annotations import Array

# Errors above this share of the box's diagonal are failures, and the curve ends there.
THRESHOLD = 0.08


def landmark_error(truth: ArrayLike, estimate: ArrayLike) -> Array:
    """Mean distance of the points, divided by the diagonal of the box around the true points.

    Args:
        truth, estimate: (N, P, 2) of (x, y) in pixels.

    Returns:
        float64 (N,), at least 0; infinite where the estimate has NaN, as for a face that was not found.

    Raises:
        ValueError: shapes that differ or are not (N, P, 2), or true points all in one place.
    """
    truth, estimate = np.asarray(truth, np.float64), np.asarray(estimate, np.float64)
    if truth.ndim != 3 or truth.shape[-1] != 2 or truth.shape != estimate.shape:
        raise ValueError(f"expected two arrays of points (N, P, 2), got the shapes {truth.shape} and {estimate.shape}")
    diagonal = np.linalg.norm(truth.max(axis=1) - truth.min(axis=1), axis=-1)
    if not np.all(diagonal > 0):
        raise ValueError("the true points of every face must span a box")
    error = np.linalg.norm(truth - estimate, axis=-1).mean(axis=-1) / diagonal
    return np.where(np.isnan(error), np.inf, error)


def area_under_curve(errors: ArrayLike, threshold: float = THRESHOLD) -> float:
    """Area under the cumulative error curve from 0 to ``threshold``, divided by ``threshold``.

    The curve gives the share of faces whose error is at most x. A face of error e adds the part from e to the
    threshold, so the area is exact, without sampling the curve.

    Args:
        errors: (N,), as from ``landmark_error``.
        threshold: where the curve ends, above 0.

    Returns:
        float in [0, 1]; 1 if all errors are 0.
    """
    return float(np.mean(np.maximum(0.0, 1.0 - np.asarray(errors, np.float64) / threshold)))


def failure_rate(errors: ArrayLike, threshold: float = THRESHOLD) -> float:
    """Share of the errors above ``threshold``."""
    return float(np.mean(np.asarray(errors) > threshold))
