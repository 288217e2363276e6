"""Crop a face from a photo in the canonical alignment, and paste it back."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from deblur_zoo.annotations import Array
from deblur_zoo.faces.alignment import CROP_SIZE, canonical_points, similarity_transform
from deblur_zoo.files.pictures import LUMA


def align(image: ArrayLike, points: ArrayLike, size: int = CROP_SIZE, margin: int = 0) -> tuple[Array, Array]:
    """Crop a face in the canonical alignment.

    Args:
        image: uint8 (H, W) or (H, W, C), C = 1, 3 or 4.
        points: (5, 2) of (x, y) in pixels of ``image``, in the order of ``deblur_zoo.faces.alignment.POINT_NAMES``.
        size: side of the canonical crop in pixels.
        margin: pixels added on every side.

    Returns:
        crop: uint8, (size + 2 margin) square, channels as in ``image``. Pixels outside the photo are mirrored.
        matrix: float64 (2, 3), photo to crop: ``crop_xy = photo_xy @ matrix[:, :2].T + matrix[:, 2]``.

    Raises:
        ValueError: points of another shape, not finite, or coinciding; a size below 1 or a negative margin.
    """
    points = np.asarray(points, np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise ValueError(f"the facial points must be five finite (x, y), got an array of shape {points.shape}")
    if size < 1 or margin < 0:
        raise ValueError(f"a crop needs a size of at least 1 and a margin of at least 0, got {size} and {margin}")
    matrix = similarity_transform(points, canonical_points(size, margin))
    return warp(image, matrix, size + 2 * margin), matrix


def warp(image: ArrayLike, matrix: ArrayLike, side: int) -> Array:
    """Resample a photo into a square, mirrored at its borders (OpenCV REFLECT_101), without aliasing.

    To downscale a photo, it is first resampled on a finer grid that skips no photo pixel, and the result is reduced
    with a cubic kernel widened by the same factor.

    Args:
        image: uint8 or float32 (H, W) or (H, W, C), C = 1, 3 or 4.
        matrix: (2, 3) similarity, photo to square, in pixels whose centres have integer coordinates.
        side: the square's side in pixels.

    Returns:
        (side, side) or (side, side, C), of the kind of ``image``.

    Raises:
        ValueError: another shape or kind of array.
    """
    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.float32) or image.size == 0 or image.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            f"a photo must be a uint8 array (H, W), (H, W, 3) or (H, W, 4), got {image.dtype} of shape {image.shape}"
        )
    image, matrix = _reduced(image, np.asarray(matrix, np.float64))
    # The margin of 1e-9 keeps a scale of 1 that rounding has put just below it from counting as shrinking.
    finer = max(1, math.ceil(1 / scale_of(matrix) - 1e-9))
    fine = _to_finer_grid(matrix, finer)
    result = cv2.warpAffine(
        image, fine, (side * finer, side * finer), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    if finer > 1:
        # Channel by channel: with alpha, Pillow would weight the colours by it.
        planes = [
            np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BICUBIC))
            for plane in cv2.split(result)
        ]
        result = np.stack(planes, axis=-1)
    return result.reshape(side, side, *image.shape[2:])


def paste_back(image: ArrayLike, crop: ArrayLike, matrix: ArrayLike, feather: float | None = None) -> Array:
    """Paste a crop, such as a restored one, into the photo, blended at its edges.

    Args:
        image: uint8 (H, W), (H, W, 3) or (H, W, 4). An alpha channel is kept; a grey photo gets the crop's luma.
        crop: uint8 (S, S), (S, S, 1), (S, S, 3) or (S, S, 4), as ``align`` gave it or restored from that; its alpha
            channel is left out.
        matrix: (2, 3), photo to crop, as ``align`` gave it.
        feather: width of the transition inside the crop's edge, in pixels of the crop; a tenth of its side if None.

    Returns:
        uint8 of the shape of ``image``; pixels outside the crop are those of ``image``.

    Raises:
        ValueError: shapes or kinds of arrays other than these, or a negative feather.
    """
    image, crop, matrix = np.asarray(image), np.asarray(crop), np.asarray(matrix, np.float64)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ValueError(
            f"a photo must be a uint8 array (H, W), (H, W, 3) or (H, W, 4), got {image.dtype} of shape {image.shape}"
        )
    square = crop.ndim in (2, 3) and crop.shape[0] == crop.shape[1] and (crop.ndim == 2 or crop.shape[2] in (1, 3, 4))
    if crop.dtype != np.uint8 or not square:
        raise ValueError(
            "a crop must be a square uint8 array (S, S), (S, S, 3) or (S, S, 4), "
            f"got {crop.dtype} of shape {crop.shape}"
        )
    crop = crop if crop.ndim == 2 else crop[:, :, :3]
    side = crop.shape[0]
    feather = side / 10 if feather is None else feather
    if feather < 0:
        raise ValueError(f"feather must be a width in pixels of at least 0, got {feather}")
    result = image.copy()
    place, patch, in_crop = warp_back(crop.astype(np.float32), matrix, image.shape)
    # Distance to the nearest edge of the crop, whose outermost pixels end half a pixel beyond their centres.
    inside = np.minimum(in_crop + 0.5, side - 0.5 - in_crop).min(axis=-1)
    ramp = np.clip(inside / feather, 0, 1) if feather else (inside > 0).astype(np.float64)
    weight = (ramp * ramp * (3 - 2 * ramp))[:, :, None]
    region = result[place]
    region = region[:, :, None] if region.ndim == 2 else region
    colours = region[:, :, :3]
    if colours.shape[2] == 1 and patch.shape[2] == 3:
        patch = (patch @ LUMA)[:, :, None]
    blended = colours * (1 - weight) + patch * weight
    colours[...] = np.rint(np.clip(blended, 0, 255)).astype(np.uint8)
    return result


def warp_back(crop: Array, matrix: Array, shape: Sequence[int]) -> tuple[tuple[slice, slice], Array, Array]:
    """Resample a crop onto the photo's pixels, without aliasing.

    Args:
        crop: float32 (S, S) or (S, S, C).
        matrix: float64 (2, 3), photo to crop.
        shape: (H, W, ...) of the photo.

    Returns:
        place: the rectangle of the photo that the crop touches, as (rows, columns).
        patch: float32 (h, w, C), the crop on that rectangle.
        positions: float64 (h, w, 2), (x, y) of each of its pixels in the crop.
    """
    left, top, right, bottom = crop_bounds(matrix, crop.shape[0], shape)
    # Photo coordinates are those inside the rectangle.
    local = matrix.copy()
    local[:, 2] += matrix[:, :2] @ (left, top)
    x, y = np.meshgrid(np.arange(right - left), np.arange(bottom - top))
    positions = np.stack([x, y], axis=-1) @ local[:, :2].T + local[:, 2]
    place = slice(top, bottom), slice(left, right)
    if left >= right or top >= bottom:
        channels = crop.shape[2] if crop.ndim == 3 else 1
        return place, np.zeros((*positions.shape[:2], channels), np.float32), positions
    finer = scale_of(matrix)
    if finer > 1.01:
        # The crop is finer than the photo: smoothing it to the photo's resolution keeps it from aliasing there.
        crop = cv2.GaussianBlur(crop, (0, 0), 0.5 * math.sqrt(finer**2 - 1))
    patch = cv2.warpAffine(
        crop,
        local,
        (right - left, bottom - top),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return place, patch.reshape(bottom - top, right - left, -1), positions


def scale_of(matrix: ArrayLike) -> float:
    """Factor by which a similarity enlarges (above 1) or shrinks (below 1)."""
    matrix = np.asarray(matrix, np.float64)
    return math.hypot(matrix[0, 0], matrix[1, 0])


def rotation_of(matrix: ArrayLike) -> float:
    """Angle in degrees by which a similarity turns; positive from x to y, which is clockwise as pictures are seen."""
    matrix = np.asarray(matrix, np.float64)
    return math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))


def share_inside(matrix: ArrayLike, size: int, margin: int, shape: Sequence[int]) -> float:
    """Share of the canonical crop's pixels that lie inside a photo of shape (H, W, ...), in [0, 1]."""
    matrix = np.asarray(matrix, np.float64)
    x, y = np.meshgrid(np.arange(size) + margin, np.arange(size) + margin)
    photo = (np.stack([x, y], axis=-1) - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    inside = (photo >= -0.5) & (photo <= np.array([shape[1], shape[0]]) - 0.5)
    return float(inside.all(axis=-1).mean())


def _reduced(image: Array, matrix: Array) -> tuple[Array, Array]:
    """Downscale by a whole factor first if the face is so large that the finer grid would be huge."""
    factor = int(1 / scale_of(matrix) / 2)
    if factor < 2:
        return image, matrix
    height, width = image.shape[:2]
    size = max(1, width // factor), max(1, height // factor)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], *image.shape[2:])
    steps = np.array([width / size[0], height / size[1]])
    # photo = (small + 0.5) * steps - 0.5
    reduced = matrix.copy()
    reduced[:, :2] = matrix[:, :2] * steps
    reduced[:, 2] = matrix[:, 2] + matrix[:, :2] @ (0.5 * steps - 0.5)
    return small, reduced


def _to_finer_grid(matrix: Array, factor: int) -> Array:
    """The matrix to a grid with ``factor`` times as many pixels over the same square."""
    fine = matrix * factor
    fine[:, 2] += 0.5 * factor - 0.5
    return fine


def crop_bounds(matrix: Array, side: int, shape: Sequence[int], around: int = 0) -> tuple[int, int, int, int]:
    """Rectangle of photo pixels that a crop touches.

    Args:
        matrix: (2, 3), photo to crop.
        side: the crop's side in pixels.
        shape: (H, W, ...) of the photo.
        around: pixels of the crop by which its square is enlarged on every side.

    Returns:
        left, top, right, bottom as int; right and bottom are exclusive.
    """
    low, high = -0.5 - around, side - 0.5 + around
    corners = np.array([[low, low], [high, low], [low, high], [high, high]])
    photo = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(photo.min(axis=0)).astype(int), 0, limit)
    high = np.clip(np.ceil(photo.max(axis=0)).astype(int) + 1, 0, limit)
    return *low, *high
