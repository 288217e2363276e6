"""two_step_gan against table 3 of the paper, and against an independent implementation."""

from unittest import mock

import keras
import numpy as np
import pytest
from keras import layers, ops

from deblur_zoo.layers.resampling import double
from deblur_zoo.models.two_step_gan import TwoStepGan
from deblur_zoo.models.two_step_gan_discriminator import ConditionalDiscriminator
from deblur_zoo.models.two_step_gan_generator import Generator, GeneratorLayer, PointTransposed, SharpPathway
from deblur_zoo.zoo.multiply_adds import count_multiply_adds

SMALL = {
    "hourglass_widths": (4, 6), "hourglass_levels": 2, "first_kernel": 3, "encoder_widths": (4, 6, 8, 8, 6),
    "decoder_widths": (8, 8, 6, 4), "keep_probability": 1.0,
}  # fmt: skip
LITE = {**SMALL, "scale": 2, "generator_blocks": 1, "normalization": False, "channel_attention": True,
        "image_skip": True}  # fmt: skip


def randomise(model):
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        else:
            weight.assign(random.normal(scale=0.7 / np.sqrt(max(1, np.prod(weight.shape[:-1]))), size=weight.shape))
    return model


def randomised(**arguments):
    model = TwoStepGan(**{**SMALL, **arguments})
    model.build()
    return randomise(model)


def pathway_of(model):
    pathway = SharpPathway(model.settings["encoder_widths"])
    pathway.build()
    return randomise(pathway)


def pictures(*shape, seed=1):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def array(value):
    return ops.convert_to_numpy(value)


def recorded_layers(network, inputs):
    """Every convolution that runs, in order: kind, kernel, stride, filters, output side. Nothing is computed."""
    calls = []

    def recording(layer_class):
        original = layer_class.call

        def call(self, features):
            outputs = original(self, features)
            calls.append((layer_class.__name__, self.kernel_size[0], self.strides[0], self.filters, outputs.shape[1]))
            return outputs

        return mock.patch.object(layer_class, "call", call)

    with recording(layers.Conv2D), recording(layers.Conv2DTranspose):
        network(layers.Input(batch_shape=(1, *inputs), dtype="float32"))
    return calls


@pytest.mark.parametrize("side", [256, 128])
def test_the_layers_of_table_3(side):
    generator = TwoStepGan().generator
    calls = recorded_layers(generator, (side, side, 6))
    half = [side // 2**i for i in range(8)]
    # 1x1 kernels, behind or before the pixels that their stride leaves out: conv. 8 and F-conv. 1.
    point, transposed = calls.index(("Conv2D", 1, 1, 256, half[7])), calls.index(("Conv2D", 1, 1, 1024, half[7]))
    calls[point] = ("Conv2D", 1, 2, 256, half[7])
    calls[transposed] = ("Conv2DTranspose", 1, 2, 1024, half[6])
    projections = [call for call in calls if call[1:3] == (1, 1)]
    table = [call for call in calls if call not in projections]
    widths = [64, 128, 256, 512, 512, 512, 512]
    assert table[:8] == [
        ("Conv2D", 4, 1 if i == 0 else 2, width, half[i]) for i, width in enumerate(widths)
    ] + [("Conv2D", 1, 2, 256, half[7])]  # fmt: skip
    assert table[8:] == [("Conv2DTranspose", 1, 2, 1024, half[6])] + [
        ("Conv2DTranspose", 4, 2, width, half[5 - i]) for i, width in enumerate([512, 512, 512, 256, 128, 64])
    ] + [("Conv2DTranspose", 4, 1, 3, side)]
    # Residual connections pass two layers: 1 to 3, 3 to 5, 5 to 7 in the encoder, 1 to 3 and 3 to 5 in the decoder.
    assert projections == [
        ("Conv2D", 1, 1, 256, half[2]), ("Conv2D", 1, 1, 512, half[4]), ("Conv2D", 1, 1, 512, half[6]),
        ("Conv2D", 1, 1, 512, half[6]), ("Conv2D", 1, 1, 256, half[4]),
    ]  # fmt: skip
    normalised = [layer.normalize is not None for layer in generator.encoder.sequence]
    assert normalised == [False] + 7 * [True]
    assert all(layer.normalize is not None for layer in generator.decoder.sequence)
    # The table's last column is the probability of keeping a unit; Keras' rate is that of dropping it.
    kept = [1 - layer.dropout.rate if layer.dropout else 1.0 for layer in generator.decoder.sequence]
    assert kept == [0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0]
    assert not any(layer.dropout for layer in generator.encoder.sequence)


def test_both_pathways_have_the_same_layers_but_for_the_first_ones_channels():
    model, pathway = TwoStepGan(), SharpPathway()
    pathway.build()
    model.build()
    ours, theirs = ([tuple(weight.shape) for weight in part.weights] for part in (model.generator.encoder, pathway))
    assert ours[0] == (4, 4, 6, 64) and theirs[0] == (4, 4, 3, 64) and ours[1:] == theirs[1:]
    # In float16 the shipped file is below 90 MiB, with G_s it would not be: 2 bytes a number.
    assert 75 < 2 * model.count_params() / 2**20 < 77
    assert 2 * (model.count_params() + pathway.count_params()) / 2**20 > 90


def convolve(convolution, features):
    values = {weight.name: ops.convert_to_tensor(weight) for weight in convolution.weights}
    kernel, stride = values["kernel"], getattr(convolution, "stride", None) or getattr(convolution, "strides", 2)
    if isinstance(convolution, PointTransposed):
        kernel = ops.transpose(kernel, (0, 1, 3, 2))
    transposed = isinstance(convolution, (PointTransposed, layers.Conv2DTranspose))
    operation = ops.conv_transpose if transposed else ops.conv
    result = array(operation(features, kernel, strides=stride, padding="same"))
    return result + array(values["bias"]) if "bias" in values else result


def normalise(layer, features):
    gamma, beta, mean, variance = (array(weight) for weight in layer.weights)
    return gamma * (features - mean) / np.sqrt(variance + layer.epsilon) + beta


def repeated(features, factor):
    return features.repeat(factor, axis=1).repeat(factor, axis=2)


def test_generator_connects_its_layers_as_the_text_says():
    generator = randomised(encoder_widths=(4, 6, 8, 8, 8, 8, 8, 6), decoder_widths=(8, 8, 8, 8, 8, 6, 4)).generator
    inputs = pictures(1, 128, 128, 6) - 0.5
    encoder, decoder = generator.encoder, generator.decoder
    run = lambda layer, features: np.maximum(convolve(layer.convolution, features), 0)  # noqa: E731
    encoded = {0: inputs}
    for i in range(1, 9):
        encoded[i] = run(encoder.sequence[i - 1], encoded[i - 1])
        if i > 1:
            encoded[i] = normalise(encoder.sequence[i - 1].normalize, encoded[i])
        if i in (3, 5, 7):
            encoded[i] = encoded[i] + convolve(encoder.projections[i // 2 - 1], encoded[i - 2])
    assert encoded[8].shape == (1, 1, 1, 6)
    decoded = {0: encoded[8]}
    for i in range(1, 8):
        decoded[i] = run(decoder.sequence[i - 1], decoded[i - 1])
        decoded[i] = normalise(decoder.sequence[i - 1].normalize, decoded[i])
        if i in (3, 5):
            decoded[i] = decoded[i] + repeated(convolve(decoder.projections[i // 2 - 1], decoded[i - 2]), 4)
        if i in (6, 7):
            decoded[i] = decoded[i] + encoded[8 - i]
    expected = convolve(decoder.last, decoded[7])
    result = array(generator(inputs))
    assert result.shape == (1, 128, 128, 3) and result.std() > 0.1
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_hourglass_equals_its_recursion():
    """Newell et al. draw an hourglass as a lateral block beside a smaller hourglass between two poolings."""
    hourglass = randomised(hourglass_widths=(4, 6, 8), hourglass_levels=2, first_kernel=7).hourglass
    images = pictures(2, 8, 12, 3)

    def unit(layer, features):
        assert not layer.convolution.use_bias
        features = normalise(layer.normalize, convolve(layer.convolution, features))
        return np.maximum(features, 0) if layer.activation else features

    def block(layer, features):
        hidden = unit(layer.expand, unit(layer.middle, unit(layer.reduce, features)))
        shortcut = features if layer.shortcut is None else convolve(layer.shortcut, features)
        return np.maximum(shortcut + hidden, 0)

    def only(blocks):
        (member,) = blocks.members
        return member

    def level(number, features):
        count, height, width, channels = features.shape
        lateral = block(only(hourglass.lateral[number]), features)
        pooled = features.reshape(count, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
        low = block(only(hourglass.down[number]), pooled)
        low = level(1, low) if number == 0 else block(only(hourglass.bottom), low)
        return lateral + repeated(block(only(hourglass.up[1 - number]), low), 2)

    features = unit(hourglass.first, images)
    for member in hourglass.head:
        features = block(member, features)
    expected = convolve(hourglass.last, unit(hourglass.merge, block(only(hourglass.tail), level(0, features))))
    np.testing.assert_allclose(array(hourglass(images)), expected, atol=1e-4)
    sizes = [unit.convolution.kernel_size[0] for unit in (hourglass.head[0].reduce, hourglass.head[0].middle,
                                                          hourglass.head[0].expand)]  # fmt: skip
    assert sizes == [1, 3, 1] and hourglass.head[0].middle.convolution.filters == 3
    assert hourglass.first.convolution.kernel_size == (7, 7) and hourglass.first.convolution.strides == (1, 1)


def test_a_block_without_normalisation_has_gains():
    block = randomised(**LITE).hourglass.head[0]
    features = pictures(1, 4, 4, 4) - 0.5
    hidden = np.maximum(convolve(block.reduce.convolution, features), 0)
    hidden = np.maximum(convolve(block.middle.convolution, hidden), 0)
    kernel, bias = (array(weight) for weight in block.gains.weights)
    hidden = hidden * (1 + 2 * np.tanh((hidden.mean(axis=(1, 2)) @ kernel + bias) / 2))
    expected = convolve(block.expand.convolution, hidden) + convolve(block.shortcut, features)
    np.testing.assert_allclose(array(block(features)), expected, atol=1e-5)


def test_doubling_repeats():
    features = pictures(2, 3, 5, 4)
    np.testing.assert_array_equal(array(double(features)), repeated(features, 2))


def test_generator_sees_the_blurred_image_beside_the_hourglass():
    for hourglass, channels in ((True, 6), (False, 3)):
        model, batch = randomised(hourglass_network=hourglass), pictures(1, 16, 16, 3)
        assert model.generator.encoder.sequence[0].channels == channels
        with mock.patch.object(Generator, "call", autospec=True, side_effect=Generator.call) as seen:
            outputs = model.training_outputs(batch, training=False)
        inputs = array(seen.call_args[0][1])
        np.testing.assert_array_equal(inputs[..., :3], batch)
        if hourglass:
            np.testing.assert_array_equal(inputs[..., 3:], array(outputs["hourglass"]))
        assert inputs.shape[-1] == channels and ("hourglass" in outputs) == hourglass


def test_hourglass_alone():
    model, batch = randomised(generator_network=False), pictures(1, 8, 12, 3)
    assert model.generator is None and model.size_divisor == 4
    outputs = model.training_outputs(batch)
    np.testing.assert_array_equal(array(outputs["restored"]), array(outputs["hourglass"]))
    with pytest.raises(ValueError, match="generator_network must be true"):
        model.reconstruct(pathway_of(model), batch)


def test_units_are_dropped_in_training_alone():
    layer = GeneratorLayer(layers.Conv2D(8, 1, kernel_initializer="zeros", bias_initializer="ones"), 3, False, 0.8)
    layer.build(None)
    ones = np.ones((1, 64, 64, 3), np.float32)
    np.testing.assert_array_equal(array(layer(ones)), 1)
    trained = array(layer(ones, training=True))
    # A fifth is dropped, within five deviations of sqrt(0.2 * 0.8 / 32768); the rest makes up for it.
    assert abs((trained == 0).mean() - 0.2) < 0.011
    np.testing.assert_allclose(trained[trained > 0], 1.25, rtol=1e-6)
    model, batch = randomised(keep_probability=0.5, normalization=False), pictures(1, 16, 16, 3)
    np.testing.assert_array_equal(array(model(batch)), array(model(batch)))
    first, second = (array(model(batch, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    # The hourglass drops nothing.
    outputs = [array(model.training_outputs(batch, training=True)["hourglass"]) for _ in range(2)]
    np.testing.assert_array_equal(*outputs)


def test_sharp_images_pass_through_the_shared_decoder():
    model, sharp = randomised(), pictures(2, 16, 16, 3)
    pathway = pathway_of(model)
    expected = model.generator.decoder(*pathway(sharp))
    np.testing.assert_allclose(array(model.reconstruct(pathway, sharp, training=False)), array(expected), atol=1e-6)
    # 10x13 is mirrored to 16x16.
    part = sharp[:, :10, :13]
    mirrored = np.pad(part, [(0, 0), (0, 6), (0, 3), (0, 0)], mode="reflect")
    np.testing.assert_allclose(
        array(model.reconstruct(pathway, part, training=False)),
        array(model.reconstruct(pathway, mirrored, training=False))[:, :10, :13],
        atol=1e-6,
    )
    # None of the second pathway's weights is in the model.
    ours = {id(weight) for weight in model.weights}
    assert not any(id(weight) in ours for weight in pathway.weights)


def test_running_statistics_are_the_first_pathways():
    model, sharp = randomised(), pictures(4, 16, 16, 3)
    pathway = pathway_of(model)
    statistics = lambda: [array(weight).copy() for weight in model.generator.decoder.non_trainable_weights]  # noqa: E731
    before = statistics()
    assert len(before) == 2 * 4
    result = array(model.reconstruct(pathway, sharp))
    for old, new in zip(before, statistics(), strict=True):
        np.testing.assert_array_equal(old, new)
    # The batch's own statistics were used.
    for weight in model.generator.decoder.non_trainable_weights:
        weight.assign(weight + 1.0)
    np.testing.assert_array_equal(array(model.reconstruct(pathway, sharp)), result)
    assert np.abs(array(model.reconstruct(pathway, sharp, training=False)) - result).max() > 1e-2
    before = statistics()
    model.training_outputs(sharp)
    assert all(np.any(old != new) for old, new in zip(before, statistics(), strict=True))


def test_image_skip_starts_as_the_identity():
    model, batch = TwoStepGan(**LITE), pictures(2, 10, 7, 3)
    assert model.size_divisor == 32
    for value in model.training_outputs(batch).values():
        np.testing.assert_array_equal(array(value), batch)
    with pytest.raises(ValueError, match="image_skip false"):
        model.reconstruct(None, batch)


@pytest.mark.parametrize("hourglass", [True, False])
def test_image_skip_adds_to_the_image_that_is_refined(hourglass):
    model, batch = randomised(**LITE, hourglass_network=hourglass), pictures(1, 32, 32, 3)
    with mock.patch.object(Generator, "call", autospec=True, side_effect=Generator.call) as seen:
        outputs = model.training_outputs(batch, training=False)
    added = array(model.generator(seen.call_args[0][1]))
    refined = array(outputs["hourglass"]) if hourglass else batch
    assert np.abs(added).max() > 0.1 and (np.abs(refined - batch).max() > 0.1) == hourglass
    np.testing.assert_allclose(array(outputs["restored"]), refined + added, atol=1e-5)


def test_mixed_precision_keeps_the_picture_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = TwoStepGan(**LITE)
    finally:
        keras.config.set_dtype_policy("float32")
    batch = pictures(1, 8, 8, 3)
    # Networks start at zero, so that any rounding would be the picture's.
    np.testing.assert_array_equal(array(model(batch)), batch)


def test_multiply_adds_by_hand():
    model = TwoStepGan(**LITE)
    model.build()
    # 32x32 pixels, all on 16x16. First 3x3, a block of 4 to 6 with shortcut; hourglass of two levels of blocks of 6.
    block = lambda pixels, width, inner: pixels * (2 * width * inner + 9 * inner * inner) + inner * inner  # noqa: E731
    head = 256 * (9 * 3 * 4) + 256 * (4 * 3 + 9 * 3 * 3 + 3 * 6 + 4 * 6) + 3 * 3
    places = [256, 64] + [64, 16] + [16] + [16, 64] + [256]
    hourglass = head + sum(block(pixels, 6, 3) for pixels in places) + 256 * (6 * 6) + 256 * (4 * 6 * 3)
    # First 6x6 of stride 2; 4x4 to 8x8, 4x4, 2x2; 1x1 to 1x1; blocks after all but the last; projections 1 to 3, not 3.
    encoder = (
        256 * 36 * 6 * 4 + 64 * 16 * 4 * 6 + 16 * 16 * 6 * 8 + 4 * 16 * 8 * 8 + 1 * 8 * 6
        + block(256, 4, 2) + block(64, 6, 3) + block(16, 8, 4) + block(4, 8, 4) + 16 * 4 * 8
    )  # fmt: skip
    # Transposed convolutions count their inputs: 1x1, 2x2, 4x4, 8x8, and 16x16 of the last. A projection of 2x2.
    decoder = (
        1 * 6 * 8 + 4 * 16 * 8 * 8 + 16 * 16 * 8 * 6 + 64 * 16 * 6 * 4 + 256 * 4 * 4 * 3
        + block(4, 8, 4) + block(16, 8, 4) + block(64, 6, 3) + block(256, 4, 2) + 4 * 8 * 6
    )  # fmt: skip
    assert count_multiply_adds(model, 32, 32) == hourglass + encoder + decoder


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"hourglass_widths": (4, 0)}, "hourglass_widths .*at least 1"),
        ({"scale": 1.5}, "scale"),
        ({"hourglass_levels": -1}, "hourglass_levels .*at least 0, got -1"),
        ({"first_kernel": 0}, "first_kernel .*at least 1"),
        ({"encoder_widths": (4, 6)}, "encoder_widths .*decoder_widths"),
        ({"decoder_widths": (8, 6, 4)}, "encoder_widths .*decoder_widths"),
        ({"decoder_widths": (8, 8, 4, 6)}, "encoder_widths .*decoder_widths"),
        ({"keep_probability": 0.0}, "keep_probability .*got 0.0"),
        ({"hourglass_network": False, "generator_network": False}, "hourglass_network and generator_network"),
    ],
)
def test_invalid_arguments(wrong, message):
    with pytest.raises(ValueError, match=f"TwoStepGan: .*{message}"):
        TwoStepGan(**{**SMALL, **wrong})


def test_discriminator_parameters_by_hand():
    model = ConditionalDiscriminator()
    widths = [6, 64, 128, 256, 512, 1]
    convolutions = sum(16 * a * b for a, b in zip(widths, widths[1:], strict=False))
    # Biases in the first layer and the last, four numbers a channel in the three normalisations.
    assert model.count_params() == convolutions + 64 + 1 + 4 * (128 + 256 + 512)
    assert [layer.strides[0] for layer in (*model.convolutions, model.last)] == [2, 2, 2, 1, 1]
    logits, features = model(np.zeros((1, 128, 128, 6), np.float32))
    assert logits.shape == (1, 16, 16, 1) and features.shape == (1, 16, 16, 512)
    assert ConditionalDiscriminator.from_config(model.get_config()).get_config() == model.get_config()
    with pytest.raises(ValueError, match="ConditionalDiscriminator: depth .*at least 2"):
        ConditionalDiscriminator(depth=1)


def test_discriminator_judges_patches_of_pairs():
    model, pairs = ConditionalDiscriminator(width=4), pictures(1, 128, 128, 6)
    logits, features = (array(value) for value in model(pairs))
    # The last layer on the features, whose slope below zero is 0.2: they are what the projection compares.
    np.testing.assert_allclose(logits, convolve(model.last, features), atol=1e-5)
    assert features.min() < 0 and logits.dtype == np.float32
    for channel in (0, 5):
        changed = pairs.copy()
        changed[:, 64, 64, channel] += 1.0
        moved = np.abs(array(model(changed)[0]) - logits)[0, :, :, 0].max(axis=0) > 0
        # 70 pixels see the changed one in steps of 8: 9 logits a row, or 8.
        assert moved.sum() in (8, 9)
