"""Stored grey levels and the light that made them: a camera's response, exposure, photon and read noise.

The response is a power law, as in Nah et al. 2017 (CVPR, section 2). Light is relative: 1 makes white at a gain of 1.
"""

from functools import lru_cache

import numpy as np

# Nah et al. 2017 (CVPR, "Deep multi-scale convolutional neural network for dynamic scene deblurring"), section 2.
GAMMA = 2.2
# Light of middle grey, at which a noise level is stated.
MIDDLE_GREY = 0.5**GAMMA


@lru_cache(maxsize=1)
def _light_of_bytes():
    light = ((np.arange(256) / 255.0) ** GAMMA).astype(np.float32)
    light.flags.writeable = False
    return light


def to_light(picture, gain=1.0):
    """Light of a stored picture.

    Args:
        picture: uint8 array.
        gain: exposure; above 1, highlights exceed what the sensor holds.

    Returns:
        float32 array of the same shape, from 0 to ``gain``.
    """
    return np.float32(gain) * _light_of_bytes()[picture]


def to_levels(light):
    """Grey levels of light: what exceeds 1 is clipped, as a full sensor does.

    Args:
        light: float32 array.

    Returns:
        float32 array of the same shape, 0 to 255, not rounded.
    """
    return np.float32(255) * np.power(np.clip(light, 0, 1), np.float32(1 / GAMMA))


def expose(picture, gain):
    """A stored picture as a camera with a higher gain would have taken it: uint8 in, uint8 out."""
    levels = np.rint(to_levels(to_light(np.arange(256, dtype=np.uint8), gain))).astype(np.uint8)
    return levels[picture]


def add_sensor_noise(light, level, photon_share, standard_normal):
    """Photon noise, whose variance follows the light, and read noise, whose variance does not.

    Args:
        light: float32 array, 1 for white.
        level: standard deviation of both together at middle grey, on the scale of light. Near middle grey a stored
            value in [0, 1] changes about as much as the light does.
        photon_share: share of the variance at middle grey that photons cause, in [0, 1].
        standard_normal: array of the same shape, independent draws of mean 0 and deviation 1.

    Returns:
        float32 array of the same shape, not clipped.
    """
    relative = np.maximum(light, 0) * np.float32(photon_share / MIDDLE_GREY) + np.float32(1 - photon_share)
    return light + np.float32(level) * np.sqrt(relative) * standard_normal
