"""Convert RGB in [0, 1] to a network's input."""

import dataclasses

import numpy as np
from keras import ops

from deblur_zoo.features.identity import interpolation_matrix


@dataclasses.dataclass(frozen=True)
class InputConversion:
    """Size, range, channel order, mean and deviation, applied in this order.

    Attributes:
        input_range: (low, high): the network's values for 0 and 1.
        channel_order: "rgb" or "bgr": the network's.
        mean: three numbers to subtract, in the network's channel order and range.
        deviation: three numbers to divide by afterwards, in the same order.
        size: (height, width) in pixels to which images are resized (bilinear, with a wider filter when downscaling to
            avoid aliasing); None: as they are.

    Raises:
        ValueError: an invalid value.
    """

    input_range: tuple = (0.0, 1.0)
    channel_order: str = "rgb"
    mean: tuple = (0.0, 0.0, 0.0)
    deviation: tuple = (1.0, 1.0, 1.0)
    size: tuple | None = None

    def __post_init__(self):
        if self.channel_order not in ("rgb", "bgr"):
            raise ValueError(f"the channel order must be rgb or bgr, got {self.channel_order!r}")
        for name, count in (("input_range", 2), ("mean", 3), ("deviation", 3)):
            if not _is_finite_vector(getattr(self, name), count):
                raise ValueError(f"{name} must be {count} finite numbers, got {getattr(self, name)!r}")
        if self.input_range[0] >= self.input_range[1]:
            raise ValueError(f"input_range must be two numbers, the smaller one first; got {self.input_range!r}")
        if min(self.deviation) <= 0:
            raise ValueError(f"the deviation must be three positive numbers, got {self.deviation!r}")
        if self.size is not None and not (
            _is_finite_vector(self.size, 2) and all(side == int(side) and side >= 1 for side in self.size)
        ):
            raise ValueError(f"the size must be (height, width) in whole pixels >= 1, got {self.size!r}")

    def __call__(self, images):
        """Convert float images (N, H, W, 3), RGB in [0, 1], to the network's input, float32."""
        if self.size is not None:
            images = _resize(images, self.size)
        low, high = self.input_range
        images = images * (high - low) + low
        if self.channel_order == "bgr":
            images = ops.flip(images, axis=-1)
        return (images - np.asarray(self.mean, np.float32)) / np.asarray(self.deviation, np.float32)


def _is_finite_vector(values, count):
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return False
    return array.shape == (count,) and bool(np.all(np.isfinite(array)))


def _resize(images, size):
    height, width = images.shape[1:3]
    if height is None or width is None:
        raise ValueError("images to be resized need a static size")
    # Two matrix products: the same on every backend, in a graph and in its gradient.
    rows, columns = (_resize_matrix(length, int(target)) for length, target in zip((height, width), size, strict=True))
    images = ops.einsum("vh,nhwc->nvwc", rows, images)
    return ops.einsum("uw,nvwc->nvuc", columns, images)


def _resize_matrix(length, target):
    step = length / target
    positions = (np.arange(target) + 0.5) * step - 0.5
    return interpolation_matrix(positions, length, max(1.0, step))
