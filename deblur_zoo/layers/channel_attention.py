"""Simplified channel attention (Chen et al. 2022), bounded: a gain per channel from the channels' means."""

from keras import ops


def channel_attention(features, gains):
    """Multiply each channel by 1 + 2 tanh(z / 2), z a linear function of all channels' means over the image.

    A photo has one blur kernel, and only its whole shows which. The bound matters: a gain that follows the features'
    size without limit feeds on itself from layer to layer and blows up on an unusual picture.

    Args:
        features: float (N, H, W, C).
        gains: ``keras.layers.Dense`` of C units that gives z; initialised with zeros, so that gains start at one.

    Returns:
        (N, H, W, C), in the type of ``features``.
    """
    # In float32: a sum over many pixels.
    means = ops.mean(ops.cast(features, "float32"), axis=(1, 2))
    # A layer on (N, C): on (N, 1, 1, C) each call would work out its shapes anew in a graph of dynamic shape.
    gain = ops.reshape(1 + 2 * ops.tanh(gains(means) / 2), (-1, 1, 1, features.shape[-1]))
    return features * ops.cast(gain, features.dtype)
