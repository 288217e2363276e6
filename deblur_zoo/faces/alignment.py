"""The canonical face alignment: where five facial points lie in every crop of the zoo.

Points are ordered left eye, right eye, nose tip, left mouth corner, right mouth corner, where left is left
in the image, and given as fractions (x, y) of the crop's width and height. The values are the medians over
the 128x128 images that Shen et al. (2018, 2020) published, so their public test set fits unchanged.
Detection and warping are in other modules of ``deblur_zoo.faces``.
"""

import numpy as np
from numpy.typing import ArrayLike

from deblur_zoo.annotations import Array

POINT_NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
CANONICAL_POINTS = np.array(
    [[0.345, 0.335], [0.655, 0.335], [0.50, 0.55], [0.375, 0.65], [0.625, 0.65]], dtype=np.float64
)
CROP_SIZE = 128

# The five points, in pixels, of the 112x112 crops that ArcFace-style identity networks are trained on
# (Deng et al. 2019, reference implementation).
ARCFACE_SIZE = 112
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float64,
)


def canonical_points(size: int = CROP_SIZE, margin: int = 0) -> Array:
    """The canonical points in pixels of a square crop.

    Args:
        size: side of the canonical crop in pixels.
        margin: pixels added on every side of the canonical crop (context for augmentation).

    Returns:
        float64 array (5, 2) of (x, y) in pixels, where pixel centres have integer coordinates.
    """
    return CANONICAL_POINTS * size + margin


def similarity_transform(source: ArrayLike, target: ArrayLike) -> Array:
    """Least-squares similarity (rotation, uniform scale, shift) that takes ``source`` to ``target``.

    Source: Umeyama 1991, eqs. (40)-(42), in two dimensions and without reflection.

    Args:
        source, target: arrays (N, 2) of (x, y), N >= 2.

    Returns:
        float64 array (2, 3): ``target ~= source @ matrix[:, :2].T + matrix[:, 2]``.

    Raises:
        ValueError: the source points coincide.
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    x, y = (source - source_mean).T
    u, v = (target - target_mean).T
    spread = np.sum(x * x + y * y)
    if not spread > 0:
        raise ValueError("the facial points coincide, so no similarity transform is defined by them")
    # A rotation with scale in the plane is multiplication by the complex number a + ib.
    a = np.sum(x * u + y * v) / spread
    b = np.sum(x * v - y * u) / spread
    rotation = np.array([[a, -b], [b, a]])
    shift = target_mean - rotation @ source_mean
    return np.concatenate([rotation, shift[:, None]], axis=1)
