"""Parameters of layers that several methods have, by hand, for test_every_preset.py."""


def convolution(size, channels, filters):
    """Parameters of a convolution with biases."""
    return size * size * channels * filters + filters


def adaptive_filters(channels):
    """The adaptive filters on ``channels`` features."""
    return 49 * 3 * 33 + convolution(3, channels + 33, 64) + convolution(1, 64, 64) + convolution(1, 64, 33) + 33 * 3
