"""Run the network over a whole photo in overlapping tiles."""

import cv2
import numpy as np

from deblur_zoo.restoration.working_size import NEGLIGIBLE, best_corrections

# Side of a tile and of its overlap with the next, in pixels of the network. The outermost _UNUSED pixels on either side
# see the border of the tile and get no weight. Sides and starts are multiples of
# _STEP, which every network's strides divide, so that a tile sees the photo on the grid of the whole pass.
TILE = 384
OVERLAP = 96
_UNUSED = 24
_STEP = 32
# The network sees tiles padded to multiples of this: TensorFlow keeps code for each size, and photos have many.
_SIDES_STEP = 64
# The scale is chosen on so many squares of this side with the strongest edges.
_SAMPLES = 4
_SAMPLE_SIDE = 256


def restore_tiled(image, restore, progress=None):
    """Restore an image of any size with the memory of one tile beside that of the result.

    Args:
        image: (H, W, 3), uint8, uint16 or float32 in [0, 1].
        restore: function of float32 (1, H, W, 3) in [0, 1] to the same.
        progress: called with the share that is done, in [0, 1], after each tile.

    Returns:
        float32 (H, W, 3). Neighbouring tiles are cross-faded over their overlap.
    """
    total = np.zeros(image.shape, np.float32)
    rows, columns = (_places(length) for length in image.shape[:2])
    for row, (top, down) in enumerate(rows):
        for column, (left, across) in enumerate(columns):
            tile = in_unit_range(image[top : top + TILE, left : left + TILE])
            height, width = tile.shape[:2]
            tile = np.pad(tile, ((0, -height % _SIDES_STEP), (0, -width % _SIDES_STEP), (0, 0)), mode="reflect")
            restored = np.asarray(restore(tile[None]))[0, :height, :width]
            total[top : top + TILE, left : left + TILE] += down[:, None, None] * across[None, :, None] * restored
            if progress is not None:
                progress((row * len(columns) + column + 1) / (len(rows) * len(columns)))
    return total


def _places(length):
    """(start, weights) of each tile along an axis; the weights of all tiles add up to 1 at every position."""
    starts = _starts(length)
    ramps = [_ramp(start, min(TILE, length - start), length) for start in starts]
    total = np.zeros(length, np.float32)
    for start, ramp in zip(starts, ramps, strict=True):
        total[start : start + TILE] += ramp
    return [(start, ramp / total[start : start + TILE]) for start, ramp in zip(starts, ramps, strict=True)]


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
    side = min(_SAMPLE_SIDE, *pixels.shape[:2])
    squares = [
        (top, left)
        for top in range(0, pixels.shape[0] - side + 1, side)
        for left in range(0, pixels.shape[1] - side + 1, side)
    ]

    def square(top, left):
        return in_unit_range(pixels[top : top + side, left : left + side])

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
    """uint8 or uint16 (H, W, 3) shrunk by ``scale`` (at most 1) with an area filter; ``pixels`` at 1."""
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    if size == pixels.shape[1::-1]:
        return pixels
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def in_unit_range(pixels):
    """uint8, uint16 or float32 in [0, 1] to float32 in [0, 1]."""
    return pixels if pixels.dtype == np.float32 else pixels.astype(np.float32) / np.iinfo(pixels.dtype).max


def add_background(pixels, restore, scale, strength=1.0, progress=None, trust=None):
    """Add what the network changes in a whole photo, seen at a scale, to its pixels, in place.

    Args:
        pixels: uint8 or uint16 (H, W, 3); changed.
        restore, progress: as for ``restore_tiled``.
        scale: factor of at most 1 by which the photo is shrunk for the network.
        strength: factor of the correction, in [0, 1].
        trust: function of (function of a slice of rows to rows of the shrunk photo, float32 in [0, 1]; float32
            residual of the shrunk photo) to another factor.
    """
    height, width = pixels.shape[:2]
    peak = np.iinfo(pixels.dtype).max
    small = shrunk(pixels, scale)
    residual = restore_tiled(small, restore, progress)
    # By rows: at 12 megapixels another copy in float32 takes 144 MB.
    for top in range(0, len(small), TILE):
        rows = slice(top, top + TILE)
        residual[rows] -= in_unit_range(small[rows])
    if trust is not None:
        strength *= trust(lambda rows: in_unit_range(small[rows]), residual)
    if not strength:
        return
    residual *= strength * peak
    if residual.shape != pixels.shape:
        residual = cv2.resize(residual, (width, height), interpolation=cv2.INTER_CUBIC)
    for top in range(0, height, TILE):
        rows = slice(top, top + TILE)
        pixels[rows] = np.rint(np.clip(pixels[rows] + residual[rows], 0, peak)).astype(pixels.dtype)
