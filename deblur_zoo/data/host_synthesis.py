"""Render pairs from their plans on the CPU with OpenCV and NumPy, one pair at a time; thread-safe."""

from functools import lru_cache

import cv2
import numpy as np

from deblur_zoo.data import host_blur
from deblur_zoo.data.augmentation import COORDINATE_BITS, SHIFT_BITS
from deblur_zoo.data.random_normal import standard_normal
from deblur_zoo.face_classes import UNKNOWN


@lru_cache(maxsize=8)
def _positions(size):
    return np.arange(size, dtype=np.int32)


def _coordinates(matrix, size):
    """Input coordinates (x, y) of every output pixel in units of 1/32 pixel, int32 (size, size) each."""
    position = _positions(size)
    half = np.int32(1 << (SHIFT_BITS - 1))
    for row in matrix:
        coordinate = (row[0] * position + (row[2] + half))[None] + (row[1] * position)[:, None]
        coordinate >>= SHIFT_BITS
        yield coordinate


def warp(face, matrix, size):
    """Warp an image bilinearly, rounded to 8 bits, mirrored outside (border "reflect_101").

    Args:
        face: uint8 (H, W, 3).
        matrix: int32 (2, 3), from ``augmentation.warp_matrix``.
        size: side of the result in pixels.

    Returns:
        uint8 (size, size, 3).
    """
    x, y = _coordinates(matrix, size)
    # OpenCV's internal form: integer pixels, and an index into its table of bilinear weights.
    pixel = np.empty((size, size, 2), np.int16)
    fraction = np.empty((size, size), np.uint16)
    mask = (1 << COORDINATE_BITS) - 1
    np.bitwise_and(y, mask, out=fraction, casting="unsafe")
    fraction <<= COORDINATE_BITS
    fraction |= (x & mask).astype(np.uint16)
    np.right_shift(x, COORDINATE_BITS, out=pixel[..., 0], casting="unsafe")
    np.right_shift(y, COORDINATE_BITS, out=pixel[..., 1], casting="unsafe")
    return cv2.remap(face, pixel, fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def warp_labels(labels, matrix, size):
    """Warp a label map: nearest neighbour, mirrored outside.

    Args:
        labels: uint8 (H, W).
        matrix, size: as ``warp``.

    Returns:
        uint8 (size, size).
    """
    x, y = _coordinates(matrix, size)
    pixel = np.empty((size, size, 2), np.int16)
    for axis, coordinate in enumerate((x, y)):
        coordinate += 1 << (COORDINATE_BITS - 1)
        np.right_shift(coordinate, COORDINATE_BITS, out=pixel[..., axis], casting="unsafe")
    return cv2.remap(labels, pixel, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)


def blur_and_noise(sharp, kernel, sigma, key):
    """Blur an image and add noise, before clipping and rounding.

    Args:
        sharp: uint8 (H, W, 3).
        kernel: float32 (K, K) of sum 1.
        sigma: the noise's standard deviation on the [0, 1] scale.
        key: two uint32, see ``random_normal``.

    Returns:
        float32 (H, W, 3) in grey levels (0 to 255, and a little beyond).
    """
    blurred = host_blur.blur(sharp[None].astype(np.float32), [kernel], threads=1)[0]
    noise = standard_normal(key, sharp.shape)
    noise *= np.float32(255.0) * np.float32(sigma)
    noise += blurred
    return noise


def round_to_bytes(levels):
    """Round grey levels, float32, to the nearest uint8, clipped. Overwrites its argument."""
    np.rint(levels, out=levels)
    np.clip(levels, 0, 255, out=levels)
    return levels.astype(np.uint8)


def render(face, kernel, plan, size, labels=None, mirrored_classes=None):
    """Render one pair from its plan.

    Args:
        face: uint8 (H, W, 3), the plan's face.
        kernel: float32 (K, K), the plan's kernel.
        plan: dict, see ``synthesis.PairMaker.plan``.
        size: side of the pair in pixels.
        labels: uint8 (H, W), the face's labels, or None.
        mirrored_classes: uint8 (256,), the class that each class becomes in a mirrored face.

    Returns:
        (blurred, sharp) or (blurred, sharp, labels): uint8 (size, size, 3) twice, uint8 (size, size).
    """
    sharp = warp(face, plan["matrix"], size)
    if plan["unblurred"]:
        blurred = sharp
    else:
        blurred = round_to_bytes(blur_and_noise(sharp, kernel, plan["sigma"], plan["key"]))
        if "jpeg_quality" in plan:
            blurred = host_blur.jpeg(blurred, int(plan["jpeg_quality"]))
    if labels is None:
        return blurred, sharp
    return blurred, sharp, labels_of(labels, plan, size, mirrored_classes)


def labels_of(labels, plan, size, mirrored_classes):
    """A pair's labels, uint8 (size, size); arguments as in ``render``."""
    labels = warp_labels(labels, plan["matrix"], size)
    return mirrored_classes[labels] if plan["mirrored"] else labels


def render_given(blurred, sharp, plan, size, with_labels=False):
    """Render one given, already blurred pair from its plan: both images are warped alike.

    Args:
        blurred, sharp: uint8 (H, W, 3), the given pair.
        plan, size: as in ``render``.
        with_labels: return labels too, all unknown.

    Returns:
        As ``render``.
    """
    sharp = warp(sharp, plan["matrix"], size)
    blurred = sharp if plan["unblurred"] else warp(blurred, plan["matrix"], size)
    return (blurred, sharp, np.full((size, size), UNKNOWN, np.uint8)) if with_labels else (blurred, sharp)
