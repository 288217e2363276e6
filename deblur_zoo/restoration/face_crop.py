"""The canonical crop of a face in a photo or a frame, at any size."""

import numpy as np

from deblur_zoo.annotations import Array
from deblur_zoo.faces.alignment import CROP_SIZE, canonical_points, similarity_transform
from deblur_zoo.faces.warp import crop_bounds, scale_of, warp


def matrix_of(points: Array, size: int) -> Array:
    """(2, 3), photo to the canonical crop of ``size`` pixels."""
    return similarity_transform(points, canonical_points(size))


def size_of(points: Array) -> float:
    """Pixels of the photo that a side of the face's canonical crop covers."""
    return CROP_SIZE / scale_of(matrix_of(points, CROP_SIZE))


def crop_of(pixels: Array, points: Array, size: int) -> Array:
    """The canonical crop, float32 (size, size, 3) in [0, 1], of a face in uint8 or uint16 (H, W, 3)."""
    matrix = matrix_of(points, size)
    # Only what the crop shows is converted: a photo of 12 megapixels takes 144 MB in float32.
    left, top, right, bottom = crop_bounds(matrix, size, pixels.shape, around=size // 4)
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    region = pixels[top:bottom, left:right].astype(np.float32) / np.iinfo(pixels.dtype).max
    return np.clip(warp(region, matrix, size), 0, 1)
