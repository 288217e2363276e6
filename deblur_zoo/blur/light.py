"""Camera response: stored grey levels to light and back, exposure, photon and read noise.

The response is a power law, as in Nah et al. 2017 (CVPR, section 2). Light is relative: 1 makes white at a gain of 1.
"""

from functools import lru_cache

import numpy as np

# Nah et al. 2017 (CVPR, "Deep multi-scale convolutional neural network for dynamic scene deblurring"), section 2.
GAMMA = 2.2
# Light at middle grey, where noise levels are defined.
MIDDLE_GREY = 0.5**GAMMA


@lru_cache(maxsize=1)
def _light_of_bytes():
    light = ((np.arange(256) / 255.0) ** GAMMA).astype(np.float32)
    light.flags.writeable = False
    return light


def to_light(picture, gain=1.0):
    """Light of a stored image.

    Args:
        picture: uint8 array.
        gain: exposure; above 1, highlights exceed the sensor's range.

    Returns:
        float32 array of the same shape, from 0 to ``gain``.
    """
    return np.float32(gain) * _light_of_bytes()[picture]


def to_levels(light):
    """Grey levels of light; values above 1 are clipped, as by a saturated sensor.

    Args:
        light: float32 array.

    Returns:
        float32 array of the same shape, 0 to 255, not rounded.
    """
    return np.float32(255) * np.power(np.clip(light, 0, 1), np.float32(1 / GAMMA))


def expose(picture, gain):
    """A stored image as a camera with a higher gain would have captured it: uint8 in, uint8 out."""
    levels = np.rint(to_levels(to_light(np.arange(256, dtype=np.uint8), gain))).astype(np.uint8)
    return levels[picture]


def add_sensor_noise(light, level, photon_share, standard_normal):
    """Add photon noise, whose variance is proportional to the light, and read noise, whose variance is constant.

    Args:
        light: float32 array, 1 for white.
        level: standard deviation of both together at middle grey, on the scale of light. Near middle grey a stored
            value in [0, 1] changes about as much as the light does.
        photon_share: share of photon noise in the variance at middle grey, in [0, 1].
        standard_normal: array of the same shape, independent draws of mean 0 and deviation 1.

    Returns:
        float32 array of the same shape, not clipped.
    """
    relative = np.maximum(light, 0) * np.float32(photon_share / MIDDLE_GREY) + np.float32(1 - photon_share)
    return light + np.float32(level) * np.sqrt(relative) * standard_normal
