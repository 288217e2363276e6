"""Simplified channel attention (Chen et al. 2022), bounded: a gain per channel from the channel means."""

from keras import ops


def channel_attention(features, gains):
    """Multiply each channel by 1 + 2 tanh(z / 2), where z is a linear function of all channel means over the image.

    A photo has one blur kernel, which only the whole image reveals. The bound matters: an unbounded gain that grows
    with the features compounds from layer to layer and blows up on unusual images.

    Args:
        features: float (N, H, W, C).
        gains: ``keras.layers.Dense`` of C units that computes z; zero-initialised, so that gains start at one.

    Returns:
        (N, H, W, C), in the type of ``features``.
    """
    # In float32: a sum over many pixels.
    means = ops.mean(ops.cast(features, "float32"), axis=(1, 2))
    # A layer on (N, C): on (N, 1, 1, C) each call would recompute its shapes in a graph of dynamic shape.
    gain = ops.reshape(1 + 2 * ops.tanh(gains(means) / 2), (-1, 1, 1, features.shape[-1]))
    return features * ops.cast(gain, features.dtype)
