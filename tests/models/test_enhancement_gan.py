"""enhancement_gan's blocks against SciPy, its skips, its ablations, and its critic."""

from unittest import mock

import keras
import numpy as np
import pytest
from keras import layers, ops

from deblur_zoo.models.enhancement_gan import EncoderDecoder, EnhancementGan
from deblur_zoo.models.enhancement_gan_blocks import (
    DRDBU,
    RRRB,
    ConvolutionGroup,
    RecurrentConvolution,
    ResBlock,
    TwoConvolutions,
)
from deblur_zoo.models.enhancement_gan_critic import PatchCritic
from deblur_zoo.zoo.multiply_adds import count_multiply_adds

SMALL = {"widths": (4, 6, 8), "blocks": 1, "growth": 2, "dense_blocks": 1}
LITE = {**SMALL, "scale": 2, "image_skip": True, "channel_attention": True, "normalization": None}
INSTANCE = {"normalization": "instance", "leaky_slope": 0.0}
PLAIN = {"normalization": None, "leaky_slope": 0.0}


def array(value):
    return ops.convert_to_numpy(value)


def randomise(layer, seed=0):
    random = np.random.default_rng(seed)
    for weight in layer.weights:
        if weight.path.endswith("gamma"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        else:
            weight.assign(random.normal(scale=0.7 / np.sqrt(max(1, np.prod(weight.shape[:-1]))), size=weight.shape))
    return layer


def built(layer, channels):
    layer.build((None, None, None, channels))
    return randomise(layer)


def model_of(**arguments):
    model = EnhancementGan(**{**SMALL, **arguments})
    model.build()
    return randomise(model)


def features_of(*shape, seed=1):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def kinds(model):
    return [type(layer) for layer in model._flatten_layers()]


# The same in NumPy and SciPy, for one image (H, W, C).
def convolve(features, layer):
    signal = pytest.importorskip("scipy.signal")
    kernel = array(layer.kernel).astype("float64")
    planes = [
        sum(signal.correlate2d(features[..., c], kernel[..., c, f], "same") for c in range(kernel.shape[2]))
        for f in range(kernel.shape[3])
    ]
    return np.stack(planes, axis=-1) + (array(layer.bias) if layer.use_bias else 0.0)


def group(features, layer):
    """Convolution, instance normalisation, leaky ReLU."""
    features = convolve(features, layer.convolution)
    if layer.normalization is not None:
        mean, deviation = features.mean(axis=(0, 1)), np.sqrt(features.var(axis=(0, 1)) + 1e-5)
        features = (features - mean) / deviation * array(layer.normalization.gamma) + array(layer.normalization.beta)
    return np.where(features > 0, features, layer.leaky_slope * features)


def recurrent(features, layer):
    """t = 2, written out."""
    first = group(features, layer.group)
    second = group(features + first, layer.group)
    return group(features + second, layer.group)


def gained(features, gains):
    kernel, bias = (array(weight) for weight in gains.weights)
    return features * (1 + 2 * np.tanh((features.mean(axis=(0, 1)) @ kernel + bias) / 2))


@pytest.mark.parametrize("settings", [INSTANCE, PLAIN, {**PLAIN, "leaky_slope": 0.2}])
def test_recurrent_convolution_equals_scipy(settings):
    layer, features = built(RecurrentConvolution(3, 2, settings), 3), features_of(1, 7, 6, 3)
    np.testing.assert_allclose(array(layer(features))[0], recurrent(features[0], layer), atol=1e-5)
    once = RecurrentConvolution(3, 0, settings)
    once.build((None, None, None, 3))
    once.set_weights(layer.get_weights())
    np.testing.assert_allclose(array(once(features))[0], group(features[0], layer.group), atol=1e-5)
    # One convolution, however often it is applied.
    assert len(layer.weights) == (3 if settings["normalization"] else 2)


@pytest.mark.parametrize("settings,factor", [(INSTANCE, 1.0), (PLAIN, 0.5)])
def test_rrrb_is_its_input_and_two_recurrent_residual_blocks(settings, factor):
    layer, features = built(RRRB(3, 2, settings), 3), features_of(1, 6, 5, 3)
    hidden = features[0]
    for block in layer.blocks:
        hidden = hidden + recurrent(recurrent(hidden, block.first), block.second)
    np.testing.assert_allclose(array(layer(features))[0], factor * (features[0] + hidden), atol=2e-5)


def test_gains_are_on_the_residuals():
    features = features_of(1, 6, 5, 3)
    layer, block = built(RRRB(3, 2, PLAIN, True), 3), built(ResBlock(3, PLAIN, True), 3)
    hidden = features[0]
    for part in layer.blocks:
        hidden = hidden + gained(recurrent(recurrent(hidden, part.first), part.second), part.gains)
    np.testing.assert_allclose(array(layer(features))[0], 0.5 * (features[0] + hidden), atol=2e-5)
    hidden = features[0]
    for part in block.groups:
        hidden = group(hidden, part)
    np.testing.assert_allclose(array(block(features))[0], features[0] + gained(hidden, block.gains), atol=1e-5)


def test_resblock_is_its_input_and_three_groups():
    layer, features = built(ResBlock(3, INSTANCE), 3), features_of(1, 6, 5, 3)
    assert len(layer.groups) == 3
    hidden = features[0]
    for part in layer.groups:
        hidden = group(hidden, part)
    np.testing.assert_allclose(array(layer(features))[0], features[0] + hidden, atol=1e-5)


def test_what_stands_in_for_a_block_has_two_groups_and_no_residual():
    layer, features = built(TwoConvolutions(3, INSTANCE), 3), features_of(1, 6, 5, 3)
    expected = group(group(features[0], layer.groups[0]), layer.groups[1])
    np.testing.assert_allclose(array(layer(features))[0], expected, atol=1e-5)


@pytest.mark.parametrize("scale", [0.2, 0.5])
def test_drdbu_equals_scipy(scale):
    layer = DRDBU(2, 3, 2, {"growth": 1, "depth": 3, "scale": scale})
    layer, features = built(layer, 2), features_of(1, 6, 5, 2)

    def dense_block(hidden, block):
        stack = hidden
        for part in block.dense:
            assert part.leaky_slope == 0.2 and part.normalization is None
            stack = np.concatenate([stack, group(stack, part)], axis=-1)
        return hidden + scale * convolve(stack, block.last)

    outputs, hidden = [features[0]], features[0]
    for unit, merge in zip(layer.units, layer.merges, strict=True):
        residual = hidden
        for block in unit.blocks:
            residual = dense_block(residual, block)
        outputs.append(hidden + scale * residual)
        # Dense from unit to unit: all outputs so far.
        hidden = convolve(np.concatenate(outputs, axis=-1), merge)
    np.testing.assert_allclose(array(layer(features))[0], features[0] + scale * hidden, atol=1e-5)
    assert len(layer.units) == 3 and layer.merges[2].kernel.shape == (1, 1, 4 * 2, 2)


def test_a_residual_scale_of_zero_is_the_identity():
    layer = built(DRDBU(2, 2, 1, {"growth": 1, "depth": 2, "scale": 0.0}), 2)
    features = features_of(1, 4, 4, 2)
    np.testing.assert_array_equal(array(layer(features)), features)


def test_skips_are_sums_with_the_mirrored_level():
    # Leaky, so that nothing is lost on the way.
    leaky = {**PLAIN, "leaky_slope": 0.2}
    network = built(EncoderDecoder((2, 3, 4), lambda width: TwoConvolutions(width, leaky), 1, leaky), 2)
    features = features_of(1, 8, 12, 2)
    whole = array(network(features))

    def silenced(level):
        """The result where a level's transposed convolution gives nothing."""
        weights = network.up[level].get_weights()
        network.up[level].set_weights([np.zeros_like(weight) for weight in weights])
        result = array(network(features))
        network.up[level].set_weights(weights)
        return result

    np.testing.assert_array_equal(silenced(0), features)
    # Without the lower level, the upper one's decoder sees what the lower one's encoder took in.
    skip = network.encoders[0][0](network.down[0](features))
    upper = array(network.up[0](network.decoders[0][0](skip))) + features
    np.testing.assert_allclose(silenced(1), upper, atol=1e-6)
    assert np.abs(whole - upper).max() > 1e-3
    # The order of the blocks: encoder after the convolution that halves, decoder before the one that doubles.
    lower = network.encoders[1][0](network.down[1](skip))
    lower = array(network.up[1](network.decoders[1][0](lower))) + array(skip)
    np.testing.assert_allclose(whole, array(network.up[0](network.decoders[0][0](lower))) + features, atol=1e-6)


def test_the_paper_has_three_blocks_on_each_side_of_each_level():
    model = EnhancementGan()
    dense, refinement = model.enhancement
    for network, kind in ((model.coarse, RRRB), (refinement, ResBlock)):
        assert network.widths == [32, 64, 128, 256]
        for side in (network.encoders, network.decoders):
            assert [[type(block) for block in level] for level in side] == 3 * [3 * [kind]]
    assert model.coarse.encoders[0][0].blocks[0].first.recurrences == 2
    assert [len(unit.blocks) for unit in dense.units] == [3, 3, 3] and dense.scale == 0.2
    assert [part.convolution.filters for part in dense.units[0].blocks[0].dense] == [8, 8, 8, 8]
    assert model.size_divisor == 8
    # No bias before a normalisation.
    for layer in model._flatten_layers():
        if isinstance(layer, ConvolutionGroup):
            assert layer.convolution.use_bias == (layer.normalization is None)


def parameters(**arguments):
    model = EnhancementGan(**{**SMALL, **arguments})
    model.build()
    return model.count_params(), kinds(model)


def test_ablations_of_table_2_take_their_part_away():
    whole, present = parameters()
    assert {DRDBU, RRRB, RecurrentConvolution, ResBlock} < set(present) and TwoConvolutions not in present
    convolution = lambda width: 9 * width * width + 2 * width  # noqa: E731
    levels = convolution(6) + convolution(8)
    unit = DRDBU(4, 3, 1, {"growth": 2, "depth": 5, "scale": 0.2})
    unit.build((None, None, None, 4))

    without, left = parameters(dense_unit=False)
    assert DRDBU not in left and ResBlock in left and whole - without == unit.count_params()
    # Four convolutions become two on both sides of both levels.
    without, left = parameters(recurrent_blocks=False)
    assert not {RRRB, RecurrentConvolution} & set(left) and ResBlock in left and whole - without == 2 * 2 * levels
    # Three become two.
    without, left = parameters(residual_blocks=False)
    assert ResBlock not in left and RRRB in left and whole - without == 2 * levels
    without, left = parameters(enhancement_module=False)
    assert not {DRDBU, ResBlock} & set(left)
    # The second encoder-decoder: its blocks, 3x3 down and 4x4 up.
    second = 2 * 3 * levels + (9 + 16) * (4 * 6 + 6 * 8) + 2 * (6 + 8) + 2 * (4 + 6)
    assert whole - without == unit.count_params() + second
    # A ConvolutionGroup stays in the first encoder-decoder alone, behind which the last convolution stands.
    model = model_of(enhancement_module=False)
    picture = features_of(1, 8, 8, 3)
    features = model.coarse(ops.relu(model.first(2 * picture - 1)))
    np.testing.assert_allclose(array(model(picture)), 0.5 + 0.5 * np.tanh(array(model.last(features))), atol=1e-6)


def test_images_are_in_minus_one_to_one_inside():
    model = model_of()
    picture = features_of(1, 8, 8, 3)
    with mock.patch.object(model.first, "call", side_effect=model.first.call) as seen:
        model(picture)
    np.testing.assert_allclose(array(seen.call_args[0][0]), 2 * picture - 1, atol=1e-6)
    # tanh of a constant: -1, 0 and tanh(0.5) become 0, a half and 0.7311, the sigmoid of 1.
    model.last.set_weights([np.zeros(model.last.kernel.shape), np.array([-50.0, 0.0, 0.5])])
    np.testing.assert_allclose(array(model(picture))[0, 3, 3], [0.0, 0.5, 0.731059], atol=1e-6)


def test_image_skip_starts_as_the_identity_and_adds_half_of_tanh():
    model, picture = EnhancementGan(**LITE), features_of(2, 8, 8, 3)
    np.testing.assert_array_equal(array(model(picture)), picture)
    model.last.set_weights([np.zeros(model.last.kernel.shape), np.array([0.1, 0.0, -0.1])])
    expected = picture + 0.5 * np.tanh([0.1, 0.0, -0.1])
    np.testing.assert_allclose(array(model(picture, training=True)), expected, atol=1e-6)


def test_mixed_precision_keeps_the_picture_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = EnhancementGan(**LITE)
    finally:
        keras.config.set_dtype_policy("float32")
    picture = features_of(1, 8, 8, 3)
    # The network starts at zero, so that any rounding would be the picture's.
    np.testing.assert_array_equal(array(model(picture)), picture)


def test_a_step_on_a_picture_without_contrast_is_finite():
    """One pixel, mirrored to 2x2: normalisations see a constant, and a single position at the lower level."""
    model = model_of(widths=(4, 6), dense_units=1)
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    grey = np.full((2, 1, 1, 3), 0.25, np.float32)
    before = model.get_weights()
    model.train_on_batch(grey, 1 - grey)
    assert all(np.all(np.isfinite(weight)) for weight in model.get_weights())
    assert any(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))


def test_multiply_adds_by_hand():
    model = model_of(**{**LITE, "recurrences": 2})
    # 16x16 pixels: 8x8 at full resolution, then 4x4 and 2x2. First 6x6 to 4, last 2x2 to 3.
    ends = 64 * (36 * 3 * 4 + 4 * 4 * 3)
    levels = ((4, 6, 16), (6, 8, 4))
    # Down 3x3 at the lower level's positions, up 4x4 from them; twice.
    scaling = 2 * sum(pixels * (9 + 16) * outer * inner for outer, inner, pixels in levels)
    # On each side of a level an RRRB of four convolutions, each applied three times, and two gains; a ResBlock of
    # three convolutions and a gain.
    blocks = 2 * sum(pixels * 9 * width * width * (4 * 3 + 3) + 3 * width * width for _, width, pixels in levels)
    # Three times four dense convolutions to 2 channels and one to 4, and gains; merges of 2, 3 and 4 outputs.
    dense = 3 * (64 * 9 * (2 * (4 + 6 + 8 + 10) + 12 * 4) + 16) + 64 * 4 * 4 * (2 + 3 + 4)
    assert count_multiply_adds(model, 16, 16) == ends + scaling + blocks + dense


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"widths": (4, 0)}, r"widths .*at least 1, got \[4, 0\]"),
        ({"widths": (4,)}, "widths"),
        ({"scale": 1.5}, "scale"),
        ({"recurrences": -1}, "recurrences .*at least 0"),
        ({"enhancement_blocks": 0}, "enhancement_blocks"),
        ({"normalization": "batch"}, "normalization .*'batch'"),
    ],
)
def test_invalid_arguments(wrong, message):
    with pytest.raises(ValueError, match=f"EnhancementGan: {message}"):
        EnhancementGan(**{**SMALL, **wrong})


def critic_of(**arguments):
    model = PatchCritic(**{"width": 4, **arguments})
    model.build()
    return randomise(model)


def test_critic_parameters_by_hand():
    widths = [3, 64, 128, 256, 512]
    convolutions = 16 * sum(a * b for a, b in zip(widths, widths[1:], strict=False)) + 16 * 512
    for normalization, extra in (("instance", 2), ("layer", 2), (None, 1)):
        model = PatchCritic(normalization=normalization)
        model.build()
        # Two numbers a channel of a normalisation, or a bias.
        assert model.count_params() == convolutions + extra * sum(widths[1:])
    assert [layer.strides for layer in model.convolutions] == [(1, 1)] + 3 * [(2, 2)]


def test_critic_sees_patches_of_49_pixels():
    model = critic_of(normalization=None)
    # A picture for each column, in which that column is brighter.
    pictures = np.tile(features_of(1, 16, 128, 3), (129, 1, 1, 1))
    for column in range(128):
        pictures[column, :, column] += 1
    scores = array(model(pictures))
    assert scores.shape == (129, 2, 16, 1) and scores.dtype == np.float32
    seen = np.flatnonzero(np.abs(scores[:128, 0, 8, 0] - scores[128, 0, 8, 0]) > 0)
    # A kernel of 4 at position z sees z - 1 to z + 2, with stride 2 it sees 2 z - 1 to 2 z + 2. Position 8 of the last
    # layer sees 7 to 10, these 13 to 22, these 25 to 46, these 49 to 94, and these pixels 48 to 96.
    np.testing.assert_array_equal(seen, np.arange(48, 97))


def test_critic_is_linear_at_the_end():
    model, pictures = critic_of(), features_of(2, 24, 24, 3)
    assert model.last.activation is keras.activations.linear and not model.last.use_bias
    scores = array(model(pictures))
    model.last.set_weights([-1000 * weight for weight in model.last.get_weights()])
    np.testing.assert_allclose(array(model(pictures)), -1000 * scores, rtol=1e-4, atol=1e-2)
    assert np.abs(1000 * scores).max() > 1


@pytest.mark.parametrize("normalization,axes", [("instance", (1, 2)), ("layer", (1, 2, 3))])
def test_critic_normalises_each_image_alone(normalization, axes):
    model = PatchCritic(width=4, normalization=normalization)
    pictures = features_of(3, 24, 24, 3) * np.array([1.0, 0.5, 2.0])[:, None, None, None]
    scores = array(model(pictures, training=True))
    np.testing.assert_allclose(array(model(pictures[:1], training=True)), scores[:1], atol=1e-5)
    assert layers.BatchNormalization not in kinds(model)
    # Means and variances after each normalisation, over each image's positions and, for "layer", channels.
    convolved = model.convolutions[0](pictures)
    normalised = array(model.normalizations[0](convolved))
    np.testing.assert_allclose(normalised.mean(axis=axes), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.var(axis=axes), 1, atol=1e-2)
    deviations = normalised.std(axis=(1, 2))
    assert (np.ptp(deviations) < 1e-2) == (normalization == "instance")


def test_critic_round_trip_and_refusals():
    model = critic_of(normalization="layer", depth=2)
    twin = PatchCritic.from_config(model.get_config())
    assert twin.get_config() == model.get_config()
    assert model.compute_output_shape((2, 10, None, 3)) == (2, 3, None, 1)
    assert model(features_of(2, 10, 9, 3)).shape == (2, 3, 3, 1)
    assert np.all(np.isfinite(array(critic_of()(features_of(1, 1, 1, 3)))))
    with pytest.raises(ValueError, match="PatchCritic: normalization .*'batch'"):
        PatchCritic(normalization="batch")
    with pytest.raises(ValueError, match="PatchCritic: depth"):
        PatchCritic(depth=0)
