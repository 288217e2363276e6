"""Turn a path of points into a blur kernel: fit it into a square of pixels, centre its mass, draw bilinearly.

Coordinates are rounded to 1/256 pixel and weights to 1/65536, and everything after that is integer arithmetic: weights
sum to exactly 1 in float32, in any order, and last-bit differences between machines disappear.
"""

import numpy as np

SUBPIXELS = 256
TOTAL = 1 << 16


def mass_centre(size):
    """Coordinate of the pixel grid on which a kernel's mass is centred, in both axes.

    For an odd size this is the middle pixel, (size - 1) / 2. An even size has no middle pixel; convolution is centred
    on pixel size // 2, and the mass is centred 1/16 pixel before it, so that a blurred image is not shifted against the
    sharp one and the mass is still within half a pixel of the geometric middle.
    """
    return (size - 1) / 2 if size % 2 else size / 2 - 1 / 16


def fit(points, size):
    """Shift and scale points so that their mean is the mass centre and they fill the square up to its border.

    Args:
        points: (T, 2) float, not all the same.
        size: side of the square in pixels, >= 3; pixel centres are at 0, 1, ..., size - 1.

    Returns:
        (T, 2) float: within [0, size - 1]; at least one point on that square's border.
    """
    centre = mass_centre(size)
    # Contiguous columns: fast, and the mean is always summed in the same order.
    points = np.asfortranarray(points)
    points = points - points.mean(axis=0)
    before, after = -points.min(), points.max()
    # One scale for both axes; the space before and after the centre differs for even sizes.
    scale = min(centre / before, (size - 1 - centre) / after)
    return centre + scale * points


def rasterize(points, size):
    """Draw points of equal weight into a kernel, each spread over its four neighbours (bilinear).

    Args:
        points: (T, 2) float, columns x and y, within [0, size - 1].
        size: side of the kernel in pixels.

    Returns:
        (size, size) float32, rows y and columns x, >= 0, multiples of 1/65536, sum exactly 1.
    """
    fixed = np.clip(np.rint(points * SUBPIXELS).astype(np.int64), 0, (size - 1) * SUBPIXELS)
    whole, part = fixed // SUBPIXELS, fixed % SUBPIXELS
    x, y = whole[:, 0], whole[:, 1]
    right, below = part[:, 0], part[:, 1]
    # One extra column and row: a point on the last pixel has weight 0 beyond it.
    side = size + 1
    corner = y * side + x
    places = np.concatenate([corner, corner + 1, corner + side, corner + side + 1])
    shares = np.concatenate(
        [
            (SUBPIXELS - right) * (SUBPIXELS - below),
            right * (SUBPIXELS - below),
            (SUBPIXELS - right) * below,
            right * below,
        ]
    )
    # Sums of integers below 2^53 are exact in float64.
    mass = np.bincount(places, weights=shares, minlength=side * side).astype(np.int64)
    mass = mass.reshape(side, side)[:size, :size].reshape(-1)
    return (_share_out(mass).astype(np.float32) / TOTAL).reshape(size, size)


def _share_out(mass):
    """Integers proportional to ``mass`` that sum to TOTAL: rounded down, the rest to the largest remainders."""
    scaled, total = mass * TOTAL, mass.sum()
    weights, remainders = scaled // total, scaled % total
    missing = TOTAL - weights.sum()
    weights[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return weights
