"""Mirror padding by gathering indices (border "reflect_101"), for any static or dynamic size.

Reflect padding fails where the padding is as large as the image; gathering mirrored indices does not.
"""

from keras import ops


def mirror(images, axis, before, count):
    """``count`` positions along an axis, starting at ``-before``, mirrored repeatedly at the first and last pixel.

    Args:
        images: any tensor.
        axis: the axis to extend.
        before: positions before the first one, >= 0.
        count: positions in the result.

    Returns:
        the tensor with ``count`` entries along the axis.
    """
    size = images.shape[axis] if images.shape[axis] is not None else ops.shape(images)[axis]
    # A 1-pixel side has period 1: every index is 0.
    period = ops.maximum(2 * (size - 1), 1)
    position = ops.mod(ops.arange(count, dtype="int32") - before, period)
    return ops.take(images, ops.minimum(position, period - position), axis=axis)


def pad_to_multiple(images, divisor):
    """Mirror images at the bottom and right border until height and width are divisible by ``divisor``.

    Args:
        images: (N, H, W, C), any H, W >= 1, static or dynamic.
        divisor: int >= 1.

    Returns:
        (N, H', W', C) with H' and W' the next multiples of ``divisor``; the same tensor if both are divisible already.
    """
    for axis in (1, 2):
        size = images.shape[axis]
        if divisor == 1 or (size is not None and size % divisor == 0):
            continue
        if size is None:
            size = ops.shape(images)[axis]
        # Not -(-size // divisor): ONNX's division rounds to zero.
        images = mirror(images, axis, 0, (size + divisor - 1) // divisor * divisor)
    return images
