"""Where a face is in its canonical crop: the weight with which a restored face is blended into its photo."""

import functools

import numpy as np

# Half-axes of the outline as shares of the crop's side, and its exponent: between an ellipse and a rectangle, so that
# hair and jaw are inside and no straight edge shows.
_HALF_AXES = (0.49, 0.5)
_EXPONENT = 3.0
# The weight rises from 0 on the outline to 1 at this share of the way in.
_FEATHER = 0.35


def weight_at(x, y):
    """Blending weight in [0, 1] at positions given as shares of the canonical crop's width and height.

    Args:
        x, y: arrays of one shape; the crop is [0, 1] in both.
    """
    radius = (np.abs((x - 0.5) / _HALF_AXES[0]) ** _EXPONENT + np.abs((y - 0.5) / _HALF_AXES[1]) ** _EXPONENT) ** (
        1 / _EXPONENT
    )
    ramp = np.clip((1 - radius) / _FEATHER, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


@functools.lru_cache(maxsize=16)
def face_mask(size):
    """float32 (size, size), the blending weight at the pixels of a crop."""
    position = (np.arange(size) + 0.5) / size
    mask = weight_at(position[None, :], position[:, None]).astype(np.float32)
    mask.setflags(write=False)
    return mask
