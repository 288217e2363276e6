"""Fixed resampling that works at any size, with dynamic shapes and in every export format."""

from keras import ops

from deblur_zoo.layers.layer_calls import report_call


def halve(images):
    """Halve height and width: each pixel is the mean of 2x2.

    The truth of a half-scale output must be halved by this function too. Bicubic halving would overshoot at edges, and
    the half-scale output would have to reproduce that.

    Args:
        images: float (N, H, W, C), H and W even.

    Returns:
        (N, H / 2, W / 2, C).
    """
    # Keras's default strides fail under JAX.
    return ops.average_pool(images, 2, strides=2)


def interleave(first, second, axis):
    """Rows (``axis`` 1) or columns (``axis`` 2) of two features in turn, beginning with the first one's.

    By concatenation and reshaping, which are fast on a CPU, and of at most four dimensions, as GPUs of phones need.

    Args:
        first, second: float (N, H, W, C).

    Returns:
        (N, 2H, W, C) or (N, H, 2W, C).
    """
    _, height, width, channels = ops.shape(first)
    together = ops.concatenate([first, second], axis=axis + 1)
    return ops.reshape(together, (-1, 2 * height, width, channels) if axis == 1 else (-1, height, 2 * width, channels))


def double(features):
    """Double height and width by repeating each pixel."""
    wide = interleave(features, features, axis=2)
    return interleave(wide, wide, axis=1)


def convolve_doubled(convolution, features):
    """The result of a 3x3 convolution of ``double(features)``, with 4/9 of its multiply-adds.

    Each of the four pixels that replace one sees only 2x2 distinct pixels: taps on equal pixels are added up first.

    Args:
        convolution: a built 3x3 ``Conv2D`` with padding "same", without stride or dilation. Only its weights are used;
            the layer itself does not run, but counts as called in ``watch_layer_calls``.
        features: float (N, H, W, C).

    Returns:
        (N, 2H, 2W, filters), of the features' type.
    """
    padded = ops.pad(features, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = []
    for row, kernels in enumerate(_halves(ops.cast(convolution.kernel, features.dtype), axis=0)):
        part = padded[:, 1:] if row else padded[:, :-1]
        pixels = [
            ops.conv(part[:, :, 1:] if column else part[:, :, :-1], kernel, padding="valid")
            for column, kernel in enumerate(_halves(kernels, axis=1))
        ]
        rows.append(interleave(*pixels, axis=2))
    result = interleave(*rows, axis=1)
    if convolution.bias is not None:
        result += ops.cast(convolution.bias, result.dtype)
    report_call(convolution, features, result)
    return result


def _halves(kernel, axis):
    """A kernel's three taps along an axis, combined for pixels that come in equal pairs.

    The first of a pair sees the previous pixel once and its own twice, the second its own twice and the next once.
    """
    first, second, third = ops.split(kernel, 3, axis=axis)
    return (
        ops.concatenate([first, second + third], axis=axis),
        ops.concatenate([first + second, third], axis=axis),
    )
