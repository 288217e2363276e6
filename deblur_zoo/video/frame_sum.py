"""A sum of pictures that loses nothing when pictures are added and taken away again: the light of an exposure."""

import numpy as np

from deblur_zoo.blur.light import GAMMA

RESPONSES = ("gamma", "identity")
# Linear light as whole numbers, so that sums do not depend on their order. 255 is 2**40; 2**23 pictures fit.
_LIGHT_BITS = 40
# Grey levels that are averaged as they are: level 1 is 2**32, so that frames between frames may have parts of a level.
_LEVEL_BITS = 32


def light_of_levels(levels, response):
    """Grey levels as whole numbers of light, the unit of ``FrameSum.total``.

    Args:
        levels: float array, 0 to 255.
        response: as ``FrameSum``.

    Returns:
        int64 of the same shape, from 0 to 2**40; rounded to nearest.
    """
    light = levels * 2.0**_LEVEL_BITS if response == "identity" else (levels / 255) ** GAMMA * 2.0**_LIGHT_BITS
    return np.rint(light).astype(np.int64)


class FrameSum:
    """Sum of uint8 pictures of one shape.

    Args:
        response: "gamma": pictures are added in linear light, (grey level / 255) ** 2.2, and their mean is given back
            as grey levels. "identity": grey levels are added as they are.

    Attributes:
        count: pictures in the sum.
        total: int64, their light: an integer for each grey level, 0 for 0; None before the first.

    Raises:
        ValueError: another response.
    """

    def __init__(self, response="gamma"):
        if response not in RESPONSES:
            raise ValueError(f"The response of an average is one of {', '.join(RESPONSES)}, not {response!r}.")
        self.response = response
        self.count = 0
        self.total = None
        self._light = light_of_levels(np.arange(256, dtype=np.float64), response)

    def add(self, picture):
        """Add a picture, uint8.

        Raises:
            TypeError: another kind of array.
            ValueError: another shape than those before it.
        """
        self.add_light(self.light_of(picture))

    def add_light(self, light):
        """Add what counts as one picture, as light: int64, such as ``frame_interpolation.light_between`` gives."""
        if self.total is None:
            self.total = light.copy()
        else:
            self.total += light
        self.count += 1

    def remove(self, picture):
        """Take away a picture that was added; errors as for ``add``."""
        self.remove_light(self.light_of(picture))

    def remove_light(self, light):
        """Take away light that was added."""
        self.total -= light
        self.count -= 1

    def levels(self, region=...):
        """The mean in grey levels, 0 to 255, before it is rounded.

        Args:
            region: index of a part of the picture, such as a pair of slices; all of it without.

        Returns:
            float64 array.

        Raises:
            ValueError: the sum is empty.
        """
        if not self.count:
            raise ValueError("The mean of no pictures is asked for.")
        mean = self.total[region] / self.count
        if self.response == "identity":
            return mean * 2.0**-_LEVEL_BITS
        return 255.0 * (mean * 2.0**-_LIGHT_BITS) ** (1 / GAMMA)

    def mean(self, region=...):
        """The mean as a picture: uint8, rounded to nearest; as ``levels``."""
        return np.rint(self.levels(region)).astype(np.uint8)

    def light_of(self, picture):
        """The light of a picture, int64 of its shape, for ``add_light``; errors as for ``add``."""
        picture = np.asarray(picture)
        if picture.dtype != np.uint8:
            raise TypeError(f"Pictures to average are uint8, not {picture.dtype}.")
        if self.total is not None and picture.shape != self.total.shape:
            raise ValueError(f"A picture of shape {picture.shape} does not fit the sum's {self.total.shape}.")
        return self._light[picture]
