"""How a camera or a face moves during an exposure, for blur that varies over the image.

Matrices map an output pixel (x, y, 1) to a position in the input, in pixels. ``data.moving_picture`` renders them.
"""

import math

import numpy as np

# Between two renderings no pixel moves further than this, in pixels.
LARGEST_STEP = 1.0
FEWEST_STEPS, MOST_STEPS = 9, 64


def smooth_path(generator, dimensions):
    """A random smooth path over one exposure.

    Each coordinate is a sum of three sines and cosines of random phase whose amplitudes fall with the square of the
    frequency: a curved line that rarely loops.

    Args:
        generator: numpy.random.Generator.
        dimensions: number of coordinates D.

    Returns:
        function of times (T,) in [0, 1] that returns (T, D) with mean 0 over the exposure and a peak-to-peak range of 1
        in each coordinate.
    """
    weights = generator.standard_normal((2, 3, dimensions)) / np.arange(1, 4)[None, :, None] ** 2

    def values(times):
        angles = math.pi * np.arange(1, 4) * np.asarray(times, np.float64)[:, None]
        return np.sin(angles) @ weights[0] + np.cos(angles) @ weights[1]

    fine = values((np.arange(256) + 0.5) / 256)
    mean, span = fine.mean(axis=0), np.ptp(fine, axis=0)
    return lambda times: (values(times) - mean) / span


def similarity(angle, zoom, shift, centre):
    """Matrices that rotate, zoom and shift, from output pixels to input positions.

    Args:
        angle: (T,) radians, clockwise as seen in the image.
        zoom: (T,) relative; 0.03 shrinks the content by 3 %.
        shift: (T, 2) pixels, x and y.
        centre: (x, y), the centre of rotation and zoom.

    Returns:
        float64 (T, 2, 3).
    """
    cos, sin = np.cos(angle) * (1 + zoom), np.sin(angle) * (1 + zoom)
    linear = np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
    centre = np.asarray(centre, np.float64)
    return np.concatenate([linear, (centre + shift - linear @ centre)[..., None]], axis=-1)


def compose(outer, inner):
    """The matrix of ``inner`` followed by ``outer``: (2, 3) or (T, 2, 3) each."""
    return np.concatenate([outer[..., :2] @ inner[..., :2], outer[..., :2] @ inner[..., 2:] + outer[..., 2:]], axis=-1)


def exposure_times(displacements):
    """Times between which nothing moves further than ``LARGEST_STEP``, or ``MOST_STEPS`` times if it moves too much.

    Args:
        displacements: function of times (T,) in [0, 1] that returns positions or displacements (T, 2, P) in pixels.

    Returns:
        float64 (T,), the midpoints of T equal parts of the exposure.
    """
    steps = np.linalg.norm(np.diff(displacements(_middles(64)), axis=0), axis=1)
    return _middles(min(max(FEWEST_STEPS, math.ceil(64 * steps.max() / LARGEST_STEP)), MOST_STEPS))


def _middles(count):
    return (np.arange(count) + 0.5) / count


def corners(matrices, size):
    """Positions to which matrices (T, 2, 3) map the corners of an image of this side, the points that move most."""
    return matrices @ np.array([[x, y, 1.0] for x in (0, size - 1) for y in (0, size - 1)]).T


def bump(size, centre, radius, displacement):
    """A displacement field that is strongest at one position and falls off as a Gaussian.

    Args:
        size: side in pixels.
        centre: (x, y) in pixels.
        radius: standard deviation in pixels.
        displacement: (x, y) at the centre in pixels.

    Returns:
        float32 (size, size, 2).
    """
    position = np.arange(size)
    along = [np.exp(-((position - place) ** 2) / (2 * radius**2)) for place in centre]
    return (along[1][:, None, None] * along[0][None, :, None] * np.asarray(displacement)).astype(np.float32)
