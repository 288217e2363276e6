"""Parameters of two_step_gan's presets by hand, for test_every_preset.py."""

from tests.models.layer_counts import adaptive_filters, convolution


def unit(size, channels, filters):
    """A layer of the hourglass: a convolution without biases, and four numbers a channel of its normalisation."""
    return size * size * channels * filters + 4 * filters


def layer(size, channels, filters):
    """A layer of the generator: the normalisation follows the ReLU, so that the convolution has biases, too."""
    return convolution(size, channels, filters) + 4 * filters


def block(channels, width):
    """Three layers, and a 1x1 convolution where the channels change."""
    half = width // 2
    shortcut = convolution(1, channels, width) if channels != width else 0
    return unit(1, channels, half) + unit(3, half, half) + unit(1, half, width) + shortcut


def lite_block(width):
    """Without normalisation; gains of the middle layer."""
    half = width // 2
    return (
        convolution(1, width, half)
        + convolution(3, half, half)
        + convolution(1, half, half)
        + convolution(1, half, width)
    )


# Before the hourglass four layers and blocks; in it a block on each of four lateral branches, four ways down, four ways
# up and at the bottom; after it one, a 1x1 layer and the last convolution.
HOURGLASS = (
    (unit(7, 3, 64) + block(64, 128) + block(128, 128) + block(128, 256))
    + (4 + 4 + 4 + 1) * block(256, 256)
    + (block(256, 256) + unit(1, 256, 256) + convolution(1, 256, 3))
)
# Table 3, and the projections of the residual connections.
ENCODER = (
    convolution(4, 6, 64)
    + (layer(4, 64, 128) + layer(4, 128, 256) + layer(4, 256, 512) + 3 * layer(4, 512, 512) + layer(1, 512, 256))
    + (convolution(1, 64, 256) + convolution(1, 256, 512) + convolution(1, 512, 512))
)
DECODER = (
    (layer(1, 256, 1024) + layer(4, 1024, 512) + 2 * layer(4, 512, 512))
    + (layer(4, 512, 256) + layer(4, 256, 128) + layer(4, 128, 64) + convolution(4, 64, 3))
    + (convolution(1, 1024, 512) + convolution(1, 512, 256))
)


# At a quarter of the resolution: three levels, four blocks a place; five blocks after each layer of encoder and decoder
# but the last; the adaptive filters. Widths of the hourglass and the generator's layers.
def small(width, one, two, three):
    hourglass = (
        (convolution(12, 3, width) + 4 * lite_block(width))
        + (3 + 3 + 3 + 1) * 4 * lite_block(width)
        + (4 * lite_block(width) + convolution(1, width, width) + convolution(4, width, 3))
    )
    blocks = 5 * (lite_block(one) + lite_block(two) + lite_block(three))
    encoder = (
        (convolution(12, 6, one) + convolution(4, one, two) + convolution(4, two, three) + convolution(1, three, three))
        + blocks
        + convolution(1, one, three)
    )
    decoder = (
        (convolution(1, three, three) + convolution(4, three, two) + convolution(4, two, one) + convolution(4, one, 3))
        + blocks
        + convolution(1, three, one)
    )
    return hourglass + encoder + decoder + adaptive_filters(one)


PARAMETERS = {
    "two_step_gan_paper": (HOURGLASS + ENCODER + DECODER, 39_795_142),
    "two_step_gan": (small(192, 160, 160, 192), 11_648_029),
    "two_step_gan_lite": (small(96, 96, 128, 160), 4_721_757),
}
