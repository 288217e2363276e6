"""Geometric augmentation of a face crop: one similarity warp for scale, shift, rotation and mirroring.

A warp is six integers, so that every renderer (``host_synthesis``, ``device_synthesis``) produces bit-identical images.
OpenCV's ``warpAffine`` would not: its arithmetic differs between versions and processors.

- The inverse matrix (output pixel to input pixel) is stored in 16.16 fixed point.
- Coordinates are rounded to 1/32 pixel, as in OpenCV's ``remap``.
- Bilinear weights are then multiples of 1/1024, so the sum of four weighted bytes is below 2**18 such units, which
  float32 represents exactly; it is rounded to 8 bits, halves upwards.
"""

import math
from dataclasses import dataclass

import numpy as np

# Fixed-point bits of the matrix and of the coordinates, and the difference between the two.
MATRIX_BITS = 16
COORDINATE_BITS = 5
SHIFT_BITS = MATRIX_BITS - COORDINATE_BITS


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which a random warp is drawn uniformly (Shen et al. 2020, section 4.1; mirroring is ours).

    Attributes:
        scale: largest relative change of size; 0.1 gives 0.9 to 1.1.
        shift: largest shift along each axis, in pixels.
        rotation: largest rotation to either side, in degrees.
        mirror: probability of a left-right flip.
    """

    scale: float = 0.1
    shift: float = 12.0
    rotation: float = 30.0
    mirror: float = 0.5

    def draw(self, generator):
        """A random warp as (scale, shift_x, shift_y, rotation in radians, mirror)."""
        scale, x, y, angle = generator.uniform(-1.0, 1.0, 4).tolist()
        mirrored = generator.uniform() < self.mirror
        return 1 + self.scale * scale, self.shift * x, self.shift * y, math.radians(self.rotation * angle), mirrored


def warp_matrix(shape, size, scale=1.0, shift_x=0.0, shift_y=0.0, rotation=0.0, mirror=False):
    """The warp that crops the middle ``size`` x ``size`` pixels of a face after a similarity transform.

    Args:
        shape: (height, width) of the face in pixels.
        size: side of the result in pixels.
        scale, shift_x, shift_y, rotation: the face is enlarged by ``scale``, rotated clockwise by ``rotation`` radians
            about the crop's centre, and moved right and down by the shift in pixels.
        mirror: flip left and right first.

    Returns:
        int32 (2, 3): maps (x, y, 1) of an output pixel to (x, y) of the input, in units of 2**-16 pixel.

    Raises:
        ValueError: the warp reaches so far from the face that 16.16 fixed point overflows.
    """
    cos, sin = math.cos(rotation) / scale, math.sin(rotation) / scale
    flip = -1.0 if mirror else 1.0
    # The inverse of scale * [[cos flip, -sin], [sin flip, cos]].
    (a, b), (c, d) = (flip * cos, flip * sin), (-sin, cos)
    x_out, y_out = (size - 1) / 2 + shift_x, (size - 1) / 2 + shift_y
    x_in = (shape[1] - 1) / 2 - a * x_out - b * y_out
    y_in = (shape[0] - 1) / 2 - c * x_out - d * y_out
    if max(abs(x_in), abs(y_in)) + (abs(cos) + abs(sin)) * size >= 2**14:
        raise ValueError(f"The warp reaches more than {2**14} pixels: scale {scale}, shift ({shift_x}, {shift_y}).")
    matrix = np.array([[a, b, x_in], [c, d, y_in]])
    return np.rint(matrix * 2**MATRIX_BITS).astype(np.int32)
