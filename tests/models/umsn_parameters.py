"""Parameters of umsn's presets by hand, for test_every_preset.py."""

from tests.models.layer_counts import adaptive_filters, convolution


def dense_block(channels, growth, hidden, inner=1):
    """1x1, ``inner`` 3x3 between and a 3x3 to the growth, and the shortcut; no biases, instance normalisation."""
    return channels * hidden + 9 * hidden * (inner * hidden + growth) + channels * growth


def biased_block(channels, growth, hidden, inner=2):
    """The same with biases in all but the shortcut."""
    return dense_block(channels, growth, hidden, inner) + (1 + inner) * hidden + growth


def batch_block(channels, growth, smoothing):
    """S-Net's: four times as wide inside, four numbers a channel of its batch normalisations."""
    hidden = 4 * growth
    return dense_block(channels, growth, hidden) + 4 * (channels + 2 * hidden) + smoothing


def segmentation(width, stems, first, half, smoothing, logits):
    """S-Net but for its stems: ``first`` channels go into the first block, ``half`` join at half size."""
    growth, last = width - first, width // 4
    inputs = [width + half, width, width, width, 2 * width, 2 * width]
    transitions = [width, *(channels + width for channels in inputs[:5]), 3 * width + 4]
    return (
        stems
        + dense_block(first, growth, 3 * growth, 2)
        + sum(batch_block(channels, width, smoothing) for channels in inputs)
        + dense_block(width, width, 3 * width, 2)
        + sum(channels * width for channels in transitions)
        + 2 * width * last
        # A one-channel map of each of seven features; heads at both sizes.
        + 7 * convolution(3, width, 1)
        + convolution(3, last + 7, last)
        + convolution(3, 3 * width, last)
        + 2 * logits
    )


# Blocks: 3 to 64 channels at full size, then 64 to 64; nine numbers of smoothing in each of the six inside.
PARSER = segmentation(64, 0, 3, 3, 9, convolution(3, 16, 4))
# At a quarter of the resolution: stems of 8x8 to 8 channels, last a transposed convolution of 4x4.
PARSER_LITE = segmentation(16, 2 * 8 * 8 * 3 * 8, 8, 8, 0, convolution(4, 4, 4))

# F-Net: 4 to 32 channels, 16 between; the last block takes the first's features too. Nine numbers of smoothing.
FEATURES = (
    dense_block(4, 28, 84, 2)
    + 32 * 16
    + 2 * (dense_block(16, 16, 48, 2) + 9 + 32 * 16)
    + (dense_block(32, 16, 48, 2) + 9 + 48 * 16)
)
FEATURES_LITE = (
    convolution(8, 4, 12)
    + (biased_block(12, 12, 36) + convolution(1, 24, 12))
    + (biased_block(12, 12, 36) + convolution(1, 24, 12))
)

# B-Net's blocks of 64 more channels, 192 inside; the image and the masks are 7 channels.
BASE = (
    dense_block(7, 57, 171, 2)
    + 64 * 32
    + dense_block(64, 32, 96)  # the F-Nets' features merged
    + (dense_block(32 + 3 + 32, 64, 192, 2) + 131 * 64)
    + 4 * (dense_block(64, 64, 192, 2) + 9 + 128 * 64)
    + dense_block(64 + 32 + 32, 64, 192, 2)
    + ((192 + 3) * 64 + 9 * 64 * 64)  # up
    + (dense_block(64 + 7, 64, 192, 2) + 135 * 16)
    + 7 * convolution(3, 64, 1)
    # Nested residuals: of the inputs and what was found, at full and half size; one head for both.
    + (convolution(3, 7, 16) + convolution(3, 16 + 7, 16))
    + (convolution(3, 3, 16) + convolution(3, 192, 16))
    + (convolution(3, 16, 3) + convolution(7, 3, 8) + convolution(3, 8, 3))
)


# Blocks of a third more channels, thrice as wide inside; the stem gives two thirds. No half size, and after the
# residual only the adaptive filters.
def small_base(width, last):
    growth, half, gains = width // 3, width // 2, convolution(1, width, width)

    def block(channels, out):
        return biased_block(channels, growth, width) + gains + convolution(1, channels + growth, out)

    return (
        convolution(8, 7, 2 * growth)
        + block(2 * growth, half)
        + biased_block(4 * 12, half, width, 1)
        + block(half + half, width)
        + 3 * block(width, width)
        + block(width + half + half, width)
        + block(width + 2 * growth, last)
        + (convolution(8, 7, last) + convolution(3, last, last))
        + convolution(4, last, 3)
        + adaptive_filters(last)
    )


PARAMETERS = {
    "umsn_paper": (PARSER + 4 * FEATURES + BASE, 13_818_512),
    "umsn": (PARSER_LITE + 4 * FEATURES_LITE + small_base(144, 128), 4_885_933),
    "umsn_lite": (PARSER_LITE + 4 * FEATURES_LITE + small_base(72, 64), 1_744_629),
}
