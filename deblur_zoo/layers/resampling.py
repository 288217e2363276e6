"""Fixed resampling that runs at any size, in a graph of dynamic shape and in every export format."""

from keras import ops


def halve(images):
    """Half the height and width: each pixel is the mean of 2x2.

    The truth of a half-scale output must be halved by this function too. Bicubic halving would put overshoots at edges
    that the half-scale output then had to copy.

    Args:
        images: float (N, H, W, C), H and W even.

    Returns:
        (N, H / 2, W / 2, C).
    """
    # Keras' default for the strides fails under JAX.
    return ops.average_pool(images, 2, strides=2)
