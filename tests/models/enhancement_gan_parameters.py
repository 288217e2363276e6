"""Parameters of enhancement_gan's presets by hand, for test_every_preset.py."""

from tests.models.layer_counts import adaptive_filters, convolution


def normalised(size, channels, filters):
    """A convolution without biases, and the two numbers a channel of its instance normalisation."""
    return size * size * channels * filters + 2 * filters


def encoder_decoder(group, widths, block):
    """Down by 3x3, up by 4x4 on each level, and the level's blocks on both sides, ``block(width)`` in all."""
    levels = zip(widths, widths[1:], strict=False)
    return sum(group(3, outer, inner) + block(inner) + group(4, inner, outer) for outer, inner in levels)


def dense_unit(width, growth, depth, blocks, gains):
    """Three RRDBs of ``blocks`` dense blocks each; 1x1 merges of two, three and four outputs."""
    dense = sum(convolution(3, width + i * growth, growth) for i in range(depth - 1))
    dense += convolution(3, width + (depth - 1) * growth, width) + gains
    return 3 * blocks * dense + sum(convolution(1, count * width, width) for count in (2, 3, 4))


def gained(size, width, convolutions, gains):
    """Convolutions of a width, and gains: a dense layer from channels to as many is as large as a 1x1 convolution."""
    return convolutions * convolution(size, width, width) + gains * convolution(1, width, width)


# At 1/4. One RRRB on each side, with two gains; one dense block an RRDB; one ResBlock on each side, with gains; the
# adaptive filters.
def small(widths, growth):
    width = widths[0]
    return (
        convolution(12, 3, width)
        + encoder_decoder(convolution, widths, lambda width: 2 * gained(3, width, 4, 2))
        + dense_unit(width, growth, 4, 1, convolution(1, width, width))
        + encoder_decoder(convolution, widths, lambda width: 2 * gained(3, width, 3, 1))
        + convolution(4, width, 3)
        + adaptive_filters(width)
    )


FULL = (32, 64, 128, 256)
PARAMETERS = {
    # Per level three RRRBs of four convolutions on each side; then three ResBlocks of three.
    "enhancement_gan_paper": (
        convolution(3, 3, 32)
        + encoder_decoder(normalised, FULL, lambda width: 6 * 4 * normalised(3, width, width))
        + dense_unit(32, 8, 5, 3, 0)
        + encoder_decoder(normalised, FULL, lambda width: 6 * 3 * normalised(3, width, width))
        + convolution(3, 32, 3),
        34_996_355,
    ),
    "enhancement_gan": (small((128, 192), 64), 8_564_538),
    "enhancement_gan_lite": (small((64, 96), 32), 2_199_258),
}
