"""Parameters of two_step_gan's presets by hand, for test_every_preset.py."""


def convolution(size, channels, filters):
    """Parameters of a convolution with biases."""
    return size * size * channels * filters + filters


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
# At a quarter of the resolution; three levels, four blocks a place.
HOURGLASS_LITE = (
    (convolution(12, 3, 96) + 4 * lite_block(96))
    + (3 + 3 + 3 + 1) * 4 * lite_block(96)
    + (4 * lite_block(96) + convolution(1, 96, 96) + convolution(4, 96, 3))
)
# Five blocks after each layer of encoder and decoder but the last.
BLOCKS_LITE = 5 * (lite_block(96) + lite_block(128) + lite_block(160))
ENCODER_LITE = (
    (convolution(12, 6, 96) + convolution(4, 96, 128) + convolution(4, 128, 160) + convolution(1, 160, 160))
    + BLOCKS_LITE
    + convolution(1, 96, 160)
)
DECODER_LITE = (
    (convolution(1, 160, 160) + convolution(4, 160, 128) + convolution(4, 128, 96) + convolution(4, 96, 3))
    + BLOCKS_LITE
    + convolution(1, 160, 96)
)
PARAMETERS = {
    "two_step_gan_paper": (HOURGLASS + ENCODER + DECODER, 39_795_142),
    # The adaptive filters on 96 channels: 49*3*33 + (9*129*64 + 64) + (64*64 + 64) + (64*33 + 33) + 33*3.
    "two_step_gan_lite": (HOURGLASS_LITE + ENCODER_LITE + DECODER_LITE + 85_623, 4_721_757),
}
