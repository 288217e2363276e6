"""An exact sum of images, even after images are added and removed again: the light of an exposure."""

import numpy as np

from deblur_zoo.blur.light import GAMMA

RESPONSES = ("gamma", "identity")
# Linear light as integers, so that sums do not depend on their order. 255 is 2**40; 2**23 images fit.
_LIGHT_BITS = 40
# Grey levels averaged directly: level 1 is 2**32, so that interpolated frames can have fractions of a level.
_LEVEL_BITS = 32


def light_of_levels(levels, response):
    """Grey levels as integers of light, the unit of ``FrameSum.total``.

    Args:
        levels: float array, 0 to 255.
        response: as ``FrameSum``.

    Returns:
        int64 of the same shape, from 0 to 2**40; rounded to nearest.
    """
    light = levels * 2.0**_LEVEL_BITS if response == "identity" else (levels / 255) ** GAMMA * 2.0**_LIGHT_BITS
    return np.rint(light).astype(np.int64)


class FrameSum:
    """Sum of uint8 images of one shape.

    Args:
        response: "gamma": images are added in linear light, (grey level / 255) ** 2.2, and their mean is converted back
            to grey levels. "identity": grey levels are added directly.

    Attributes:
        count: images in the sum.
        total: int64, their light: an integer for each grey level, 0 for 0; None before the first.

    Raises:
        ValueError: another response.
    """

    def __init__(self, response="gamma"):
        if response not in RESPONSES:
            raise ValueError(f"The response of an average must be one of {', '.join(RESPONSES)}, got {response!r}.")
        self.response = response
        self.count = 0
        self.total = None
        self._light = light_of_levels(np.arange(256, dtype=np.float64), response)

    def add(self, picture):
        """Add an image, uint8.

        Raises:
            TypeError: another kind of array.
            ValueError: another shape than the previous ones.
        """
        self.add_light(self.light_of(picture))

    def add_light(self, light):
        """Add light that counts as one image: int64, such as from ``frame_interpolation.light_between``."""
        if self.total is None:
            self.total = light.copy()
        else:
            self.total += light
        self.count += 1

    def remove(self, picture):
        """Remove an image that was added; errors as for ``add``."""
        self.remove_light(self.light_of(picture))

    def remove_light(self, light):
        """Remove light that was added."""
        self.total -= light
        self.count -= 1

    def levels(self, region=...):
        """The mean in grey levels, 0 to 255, not rounded.

        Args:
            region: index of a part of the image, such as a pair of slices; default: the whole image.

        Returns:
            float64 array.

        Raises:
            ValueError: the sum is empty.
        """
        if not self.count:
            raise ValueError("The mean of zero images is undefined.")
        mean = self.total[region] / self.count
        if self.response == "identity":
            return mean * 2.0**-_LEVEL_BITS
        return 255.0 * (mean * 2.0**-_LIGHT_BITS) ** (1 / GAMMA)

    def mean(self, region=...):
        """The mean as an image: uint8, rounded to nearest; arguments as ``levels``."""
        return np.rint(self.levels(region)).astype(np.uint8)

    def light_of(self, picture):
        """The light of an image, int64 of its shape, for ``add_light``; errors as for ``add``."""
        picture = np.asarray(picture)
        if picture.dtype != np.uint8:
            raise TypeError(f"Images to average must be uint8, got {picture.dtype}.")
        if self.total is not None and picture.shape != self.total.shape:
            raise ValueError(f"The image's shape {picture.shape} does not match the sum's {self.total.shape}.")
        return self._light[picture]
