"""Run the network over a whole photo in overlapping tiles."""

import numpy as np

from deblur_zoo.restoration.working_size import NEGLIGIBLE, best_corrections

# Side of a tile and of its overlap with the next, in pixels of the network. The outermost _UNUSED pixels on either side
# see the border of the tile and get no weight. Sides and starts are multiples of
# _STEP, which every network's strides divide, so that a tile sees the photo on the grid of the whole pass.
TILE = 384
OVERLAP = 96
_UNUSED = 24
_STEP = 32
# The scale is chosen on so many squares of this side with the strongest edges.
_SAMPLES = 4
_SAMPLE_SIDE = 256


def restore_tiled(image, restore):
    """Restore an image of any size with the memory of one tile.

    Args:
        image: float32 (H, W, 3) in [0, 1].
        restore: function of float32 (1, H, W, 3) in [0, 1] to the same.

    Returns:
        float32 (H, W, 3). Neighbouring tiles are cross-faded over their overlap.
    """
    height, width = image.shape[:2]
    total = np.zeros_like(image)
    weights = np.zeros((height, width, 1), np.float32)
    for top in _starts(height):
        for left in _starts(width):
            tile = image[top : top + TILE, left : left + TILE]
            weight = _ramp(top, tile.shape[0], height)[:, None, None] * _ramp(left, tile.shape[1], width)[None, :, None]
            total[top : top + TILE, left : left + TILE] += weight * np.asarray(restore(tile[None]))[0]
            weights[top : top + TILE, left : left + TILE] += weight
    return total / weights


def _starts(length):
    """Where the tiles of an axis begin: multiples of _STEP, the last tile ending with the axis."""
    if length <= TILE:
        return [0]
    last = -(-(length - TILE) // _STEP) * _STEP
    return [*range(0, last, TILE - OVERLAP), last]


def _ramp(start, size, length):
    """Weights of a tile along an axis: 1 in the middle and at the photo's border, falling towards the next tile."""
    position = np.arange(size, dtype=np.float32) + 0.5
    faded = OVERLAP - 2 * _UNUSED
    ramp = np.ones(size, np.float32)
    if start > 0:
        ramp = np.clip((position - _UNUSED) / faded, 0, 1)
    if start + size < length:
        ramp = np.minimum(ramp, np.clip((size - position - _UNUSED) / faded, 0, 1))
    return ramp


def photo_scale(pixels, restore):
    """The scale at which to restore a photo without faces, chosen as for faces on the squares with the strongest edges.

    Args:
        pixels: uint8 or uint16 (H, W, 3).
        restore: function of float32 (N, S, S, 3) in [0, 1] to the same.

    Returns:
        factor of at most 1, or None if the network changes next to nothing, as in a sharp photo.
    """
    import cv2

    side = min(_SAMPLE_SIDE, *pixels.shape[:2])
    peak = np.iinfo(pixels.dtype).max
    squares = [
        (top, left)
        for top in range(0, pixels.shape[0] - side + 1, side)
        for left in range(0, pixels.shape[1] - side + 1, side)
    ]

    def square(top, left):
        return pixels[top : top + side, left : left + side].astype(np.float32) / peak

    def energy(place):
        grey = square(*place).mean(axis=2)
        return float(np.abs(np.diff(grey, axis=0)).sum() + np.abs(np.diff(grey, axis=1)).sum())

    chosen = sorted(squares, key=energy, reverse=True)[:_SAMPLES]

    def crop_at(index, size):
        return cv2.resize(square(*chosen[index]), (size, size), interpolation=cv2.INTER_AREA)

    corrections = best_corrections(crop_at, [side] * len(chosen), restore)
    scales = [correction.size / side for correction in corrections if correction.strength >= NEGLIGIBLE]
    return float(min(1.0, np.median(scales))) if scales else None


def shrunk(pixels, scale):
    """uint8 or uint16 (H, W, 3) to float32 in [0, 1], shrunk by ``scale`` (at most 1) with an area filter."""
    import cv2

    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.iinfo(pixels.dtype).max


def add_background(pixels, restore, scale, strength=1.0):
    """Add what the network changes in a whole photo, seen at a scale, to its pixels, in place.

    Args:
        pixels: uint8 or uint16 (H, W, 3); changed.
        restore: as for ``restore_tiled``.
        scale: factor of at most 1 by which the photo is shrunk for the network.
        strength: factor of the correction, in [0, 1].
    """
    import cv2

    height, width = pixels.shape[:2]
    peak = np.iinfo(pixels.dtype).max
    small = shrunk(pixels, scale)
    residual = (restore_tiled(small, restore) - small) * (strength * peak)
    residual = cv2.resize(residual, (width, height), interpolation=cv2.INTER_CUBIC)
    for top in range(0, height, TILE):
        rows = slice(top, top + TILE)
        pixels[rows] = np.rint(np.clip(pixels[rows] + residual[rows], 0, peak)).astype(pixels.dtype)
