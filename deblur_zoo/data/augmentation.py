"""Geometric augmentation of a face crop: one warp for scale, shift, rotation and mirroring."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Augmentation:
    """Ranges that a random warp is drawn from, uniformly (Shen et al. 2020, section 4.1; mirroring is ours).

    Attributes:
        scale: largest relative change of size; 0.1 gives 0.9 to 1.1.
        shift: largest shift along each axis, in pixels.
        rotation: largest rotation to either side, in degrees.
        mirror: probability of mirroring left and right.
    """

    scale: float = 0.1
    shift: float = 12.0
    rotation: float = 30.0
    mirror: float = 0.5

    def draw(self, generator):
        """A random warp as (scale, shift_x, shift_y, rotation in radians, mirror)."""
        scale, x, y, angle = generator.uniform(-1.0, 1.0, 4)
        mirrored = generator.uniform() < self.mirror
        return 1 + self.scale * scale, self.shift * x, self.shift * y, math.radians(self.rotation * angle), mirrored


def warp(face, size, scale=1.0, shift_x=0.0, shift_y=0.0, rotation=0.0, mirror=False):
    """Cut a ``size`` x ``size`` crop out of the middle of a face after a similarity warp.

    Args:
        face: uint8 (S, S, 3) with S >= size; what lies outside it is mirrored (border "reflect_101").
        size: side of the result in pixels.
        scale, shift_x, shift_y, rotation: the face in the crop becomes larger by ``scale``, turns clockwise by
            ``rotation`` radians about the crop's centre, and moves right and down by the shift in pixels.
        mirror: swap left and right first.

    Returns:
        uint8 (size, size, 3), bilinear.
    """
    import cv2

    cos, sin = scale * math.cos(rotation), scale * math.sin(rotation)
    flip = -1.0 if mirror else 1.0
    centre_in = (np.array(face.shape[1::-1]) - 1) / 2
    linear = np.array([[cos * flip, -sin], [sin * flip, cos]])
    centre_out = (size - 1) / 2 + np.array([shift_x, shift_y])
    matrix = np.concatenate([linear, (centre_out - linear @ centre_in)[:, None]], axis=1)
    return cv2.warpAffine(face, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
