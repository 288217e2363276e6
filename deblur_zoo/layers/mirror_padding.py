"""Mirror padding to a multiple of a divisor, for images of any size, and its inverse crop."""

from keras import ops


def _mirrored_indices(size, padded_size):
    """Indices 0, 1, ..., size-1, size-2, ..., 0, 1, ... of length ``padded_size`` (border "reflect_101")."""
    # A 1-pixel side has period 1: every index is 0.
    period = ops.maximum(2 * (size - 1), 1)
    position = ops.arange(padded_size, dtype="int32") % period
    return ops.minimum(position, period - position)


def pad_to_multiple(images, divisor):
    """Mirror images at the bottom and right border until height and width divide by ``divisor``.

    Gathering mirrored indices works where reflect padding does not: when the padding is as large as the image,
    down to images of one pixel, and with sizes known only at run time.

    Args:
        images: (N, H, W, C), any H, W >= 1, static or dynamic.
        divisor: int >= 1.

    Returns:
        (N, H', W', C) with H' and W' the next multiples of ``divisor``; the same tensor where both divide.
    """
    for axis in (1, 2):
        static_size = images.shape[axis]
        if divisor == 1 or (static_size is not None and static_size % divisor == 0):
            continue
        size = ops.shape(images)[axis]
        padded_size = -(-size // divisor) * divisor
        images = ops.take(images, _mirrored_indices(size, padded_size), axis=axis)
    return images
