from unittest import mock

import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo.layers.resampling import halve
from deblur_zoo.models.semantic_face import DeblurringScale, ResidualBlock, SemanticFace, TwoScaleNetwork
from deblur_zoo.models.semantic_face_discriminator import FaceDiscriminator
from deblur_zoo.zoo.multiply_adds import count_multiply_adds

SMALL = {"width": 4, "residual_blocks": 1, "first_kernel": 5, "kernel_size": 3, "parser_widths": (4, 5)}
LITE = {**SMALL, "scale": 2, "image_skip": True, "channel_attention": True}


def randomised(**arguments):
    model = SemanticFace(**{**SMALL, **arguments})
    model.build()
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        else:
            weight.assign(random.normal(scale=0.7 / np.sqrt(max(1, np.prod(weight.shape[:-1]))), size=weight.shape))
    return model


def pictures(*shape, seed=1):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def array(value):
    return ops.convert_to_numpy(value)


def parameters(**arguments):
    model = SemanticFace(**arguments)
    model.build()
    return {name: getattr(model, name).count_params() for name in ("coarse", "parser", "fine") if getattr(model, name)}


def test_the_published_parameter_counts():
    counts = parameters(residual_width=128)
    # A scale: 5x5 64-128, 128-128, twelve of 128-128 in the ResBlocks, 128-64, 64-32, 32-3, biases everywhere.
    scale = 25 * (64 * 128 + 13 * 128 * 128 + 128 * 64 + 64 * 32 + 32 * 3) + 14 * 128 + 64 + 32 + 3
    first = lambda channels: 121 * channels * 64 + 64  # noqa: E731
    doubling = 16 * 9 + 3
    assert counts["fine"] == 2 * scale + first(17) + first(20) + doubling == 11_866_585
    assert counts["coarse"] == 2 * scale + first(3) + first(6) + doubling
    # Tables 7, 8 and 12; two fine stages add one fine network.
    assert counts["fine"] == pytest.approx(26.66e6 - 14.80e6, rel=0.01)
    assert counts["parser"] == pytest.approx(2.94e6, rel=0.01)
    assert sum(counts.values()) == pytest.approx(26.6e6, rel=0.01)
    # The predecessor of 2018, 14.8 M: the fine network sees 14 and 17 channels, the blurred image alone.
    predecessor = parameters(residual_width=128, coarse_network=False)
    assert predecessor["fine"] == 2 * scale + first(14) + first(17) + doubling
    assert sum(predecessor.values()) == pytest.approx(14.8e6, rel=0.01)


@pytest.mark.parametrize("kernel,published", [(5, 14.56e6), (9, 14.70e6), (11, 14.80e6), (13, 14.92e6)])
def test_first_kernel_of_table_7(kernel, published):
    model = TwoScaleNetwork(False, {"width": 64, "residual_width": 128, "residual_blocks": 6, "first_kernel": kernel,
                                    "kernel_size": 5, "scale": 1, "channel_attention": False})  # fmt: skip
    model.build((None, None, None, 17), (None, None, None, 17))
    # The table gives parsing and fine network together.
    assert model.count_params() + 2.95e6 == pytest.approx(published, rel=0.005)


def test_stages_of_table_8():
    one, three, shared = (parameters(**SMALL, **extra) for extra in ({}, {"fine_stages": 3},
                          {"fine_stages": 3, "shared_fine_stages": True}))  # fmt: skip
    assert three["fine"] == 3 * one["fine"] and shared["fine"] == one["fine"]
    assert three["coarse"] == one["coarse"]
    model = randomised(fine_stages=3, shared_fine_stages=True)
    batch = pictures(1, 8, 8, 3)
    outputs = model.training_outputs(batch, training=False)
    assert {"restored_1", "restored_2", "restored_2_half", "restored"} < set(outputs) and "restored_3" not in outputs
    # The same network at each stage, on what the stage before gave.
    first, second = (array(outputs[name]) for name in ("restored_1", "restored_2"))
    probabilities = ops.softmax(outputs["parsing_logits"], axis=-1)

    def stage(image):
        full = ops.concatenate([image, batch, probabilities], axis=-1)
        half = ops.concatenate([halve(image), halve(batch), ops.max_pool(probabilities, 2)], axis=-1)
        return array(model.fine.networks[0](full, half)[0])

    np.testing.assert_allclose(stage(outputs["coarse"]), first, atol=1e-5)
    np.testing.assert_allclose(stage(first), second, atol=1e-5)
    np.testing.assert_allclose(stage(second), array(outputs["restored"]), atol=1e-5)


def test_residual_block_equals_scipy():
    signal = pytest.importorskip("scipy.signal")
    block = ResidualBlock(2, 5)
    features = pictures(1, 7, 9, 2) - 0.5
    result = array(block(features))[0]

    def convolve(image, layer):
        kernel, bias = (array(weight) for weight in layer.weights)
        planes = [sum(signal.correlate2d(image[..., c], kernel[..., c, f], "same") for c in range(2)) for f in range(2)]
        return np.stack(planes, axis=-1) + bias

    hidden = np.maximum(convolve(np.maximum(features[0], 0), block.first), 0)
    np.testing.assert_allclose(result, features[0] + convolve(hidden, block.second), atol=1e-6)
    gained = ResidualBlock(2, 5, channel_attention=True)
    gained(features)
    kernel, bias = np.array([[1.0, 0.0], [0.5, -2.0]]), np.array([0.5, 0.0])
    gained.set_weights([*block.get_weights(), kernel, bias])
    gains = 1 + 2 * np.tanh((hidden.mean(axis=(0, 1)) @ kernel + bias) / 2)
    expected = features[0] + convolve(hidden * gains, block.second)
    np.testing.assert_allclose(array(gained(features))[0], expected, atol=1e-5)


def test_a_scale_has_18_convolutions_in_the_stated_order():
    scale = DeblurringScale(6, None, 6, 11, 5, 1, False, False)
    calls = []
    original = keras.layers.Conv2D.call

    def call(self, inputs):
        # Every convolution but the first sees the output of a ReLU, or the running sum at the end of the ResBlocks.
        calls.append((self.kernel_size[0], self.filters, float(ops.min(inputs)) >= 0))
        return original(self, inputs)

    batch = pictures(1, 12, 12, 3)
    scale(batch)
    with mock.patch.object(keras.layers.Conv2D, "call", call):
        scale(batch)
    assert [(size, filters) for size, filters, _ in calls] == [(11, 6)] + 16 * [(5, 6)] + [(5, 3)]
    assert [positive for *_, positive in calls].count(False) <= 1 and calls[1][2] and calls[17][2]


def test_doubling_starts_as_bilinear_interpolation():
    cv2 = pytest.importorskip("cv2")
    network = TwoScaleNetwork(True, {"width": 4, "residual_width": None, "residual_blocks": 1, "first_kernel": 3,
                                     "kernel_size": 3, "scale": 1, "channel_attention": False})  # fmt: skip
    full, half = pictures(1, 8, 12, 3), pictures(1, 4, 6, 3, seed=2)
    network(full, half)
    with mock.patch.object(network.full, "call", side_effect=network.full.call) as seen:
        restored, restored_half = network(full, half)
    inputs = array(seen.call_args[0][0])[0]
    np.testing.assert_array_equal(inputs[..., :3], full[0])
    # OpenCV repeats the border, too. The half scale starts as the identity.
    np.testing.assert_allclose(inputs[..., 3:], cv2.resize(half[0], (12, 8), interpolation=cv2.INTER_LINEAR), atol=1e-6)
    np.testing.assert_array_equal(array(restored_half), half)
    np.testing.assert_array_equal(array(restored), full)


def recorded(model, *arguments, **keywords):
    """What each two-scale network and the parser are given, in order."""
    calls = []

    def recorder(original):
        def call(self, *inputs, **options):
            calls.append((self.name, *(array(value) for value in inputs)))
            return original(self, *inputs, **options)

        return call

    with (
        mock.patch.object(TwoScaleNetwork, "call", recorder(TwoScaleNetwork.call)),
        mock.patch.object(type(model.parser), "call", recorder(type(model.parser).call)),
    ):
        outputs = model.training_outputs(*arguments, training=False, **keywords)
    return calls, {name: array(value) for name, value in outputs.items()}


def halved(image):
    """The mean of 2x2, by NumPy."""
    count, height, width, channels = image.shape
    return image.reshape(count, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


@pytest.mark.parametrize("coarse", [True, False])
def test_what_each_network_is_given(coarse):
    model, batch = randomised(coarse_network=coarse), pictures(2, 8, 12, 3)
    calls, outputs = recorded(model, batch)
    refined = [outputs["coarse"]] if coarse else []
    if coarse:
        _, full, half = calls.pop(0)
        np.testing.assert_array_equal(full, batch)
        np.testing.assert_allclose(half, halved(batch), atol=1e-6)
    (parser_name, parsed), (_, full, half) = calls
    assert parser_name == "parser"
    np.testing.assert_array_equal(parsed, outputs["coarse"] if coarse else batch)
    logits = outputs["parsing_logits"].astype("float64")
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert full.shape[-1] == half.shape[-1] == (17 if coarse else 14)
    np.testing.assert_allclose(full, np.concatenate([*refined, batch, probabilities], axis=-1), atol=1e-5)
    pooled = probabilities.reshape(2, 4, 2, 6, 2, 11).max(axis=(2, 4))
    images_half = [halved(image) for image in (*refined, batch)]
    np.testing.assert_allclose(half, np.concatenate([*images_half, pooled], axis=-1), atol=1e-5)
    assert outputs["restored_half"].shape == (2, 4, 6, 3)
    np.testing.assert_array_equal(array(model(batch)), np.clip(outputs["restored"], 0, 1))


def test_true_labels_take_the_place_of_the_parser():
    model, batch = randomised(), pictures(1, 8, 8, 3)
    labels = np.random.default_rng(0).integers(0, 11, (1, 8, 8)).astype(np.uint8)
    labels[0, 0, 0] = 255
    calls, outputs = recorded(model, batch, labels=labels)
    assert [name == "parser" for name, *_ in calls] == [False, False] and "parsing_logits" not in outputs
    one_hot = calls[1][1][..., 6:]
    np.testing.assert_array_equal(one_hot[0, 0, 0], 0)
    np.testing.assert_array_equal(one_hot, np.arange(11) == labels[..., None])
    assert np.abs(outputs["restored"] - array(model.training_outputs(batch, training=False)["restored"])).max() > 1e-4
    with pytest.raises(ValueError, match=r"labels .*\(1, 8, 8\), got \(1, 8, 9\)"):
        model.training_outputs(batch, np.zeros((1, 8, 9)))


def test_without_fine_stages_the_coarse_network_alone_restores():
    model, batch = randomised(fine_stages=0), pictures(1, 8, 8, 3)
    assert model.parser is None and model.fine is None
    outputs = model.training_outputs(batch)
    np.testing.assert_array_equal(array(outputs["restored"]), array(outputs["coarse"]))
    np.testing.assert_array_equal(array(outputs["restored_half"]), array(outputs["coarse_half"]))


def test_training_outputs_of_a_size_that_does_not_divide():
    model = randomised(scale=2)
    assert model.size_divisor == 4
    # 6x10 is mirrored to 8x12.
    batch = pictures(1, 6, 10, 3)
    labels = np.random.default_rng(0).integers(0, 11, (1, 6, 10))
    mirrored = [
        np.pad(value, [(0, 0), (0, 2), (0, 2), (0, 0)][: value.ndim], mode="reflect") for value in (batch, labels)
    ]
    for extra, mirrored_extra in (({}, {}), ({"labels": labels}, {"labels": mirrored[1]})):
        outputs = model.training_outputs(batch, training=False, **extra)
        whole = model.training_outputs(mirrored[0], training=False, **mirrored_extra)
        for name, value in outputs.items():
            height, width = (3, 5) if name.endswith("half") else (6, 10)
            np.testing.assert_allclose(array(value), array(whole[name])[:, :height, :width], atol=1e-6)
    with pytest.raises(ValueError, match="even"):
        model.training_outputs(pictures(1, 7, 8, 3))


def test_image_skip_starts_as_the_identity():
    model, batch = SemanticFace(**LITE), pictures(2, 8, 8, 3)
    for value in (model(batch), model.training_outputs(batch)["coarse"]):
        np.testing.assert_array_equal(array(value), batch)


def test_mixed_precision_keeps_the_picture_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = SemanticFace(**LITE)
    finally:
        keras.config.set_dtype_policy("float32")
    batch = pictures(1, 8, 8, 3)
    # Networks start at zero, so that any rounding would be the picture's.
    np.testing.assert_array_equal(array(model(batch)), batch)


def test_parts_freeze():
    model, batch = randomised(), pictures(2, 8, 8, 3)
    everything = len(model.trainable_variables)
    sizes = {}
    for name in ("coarse", "parser", "fine"):
        part = getattr(model, name)
        part.trainable = False
        sizes[name] = everything - len(model.trainable_variables)
        part.trainable = True
    # A scale: 2 * (first, two, two in a ResBlock, two, last); two scales and the doubling. Parser: three convolutions
    # and a doubling without biases, gamma and beta of three normalisations, last.
    assert sizes == {"coarse": 2 * 2 * 8 + 2, "parser": 4 + 6 + 2, "fine": 2 * 2 * 8 + 2}
    assert sum(sizes.values()) == everything
    model.parser.trainable = False
    before = model.get_weights()
    model.training_outputs(batch, training=True)
    for weight, original in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, original)


def test_multiply_adds_by_hand():
    model = SemanticFace(**{**LITE, "parser_widths": (4,)})
    model.build()
    # 16x16 pixels; the full scale's layers on 8x8, the half scale's on 4x4, its image on 8x8 and with its border 10x10.
    # First 5x5, four 3x3 and two in the ResBlock, last 2x2 to 3; gains of 4x4 once.
    scale = lambda pixels, channels: pixels * (25 * channels * 4 + 6 * 9 * 16 + 4 * 4 * 3) + 16  # noqa: E731
    coarse = scale(16, 3) + 10 * 10 * 16 * 9 + scale(64, 6)
    fine = scale(16, 17) + 10 * 10 * 16 * 9 + scale(64, 20)
    parser = 64 * (36 * 3 * 4 + 4 * 4 * 11)
    assert count_multiply_adds(model, 16, 16) == coarse + parser + fine


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"width": 0}, "width .*at least 1, got 0"),
        ({"scale": 1.5}, "scale"),
        ({"parser_widths": (8, -1)}, "parser_widths"),
        ({"residual_width": True}, "residual_width"),
        ({"fine_stages": -1}, "fine_stages .*at least 0"),
        ({"coarse_network": False, "fine_stages": 2}, ".*coarse network fine_stages .*got 2"),
        ({"coarse_network": False, "fine_stages": 0}, ".*coarse network"),
    ],
)
def test_invalid_arguments(wrong, message):
    with pytest.raises(ValueError, match=f"SemanticFace: {message}"):
        SemanticFace(**{**SMALL, **wrong})


def test_discriminator_parameters_by_hand():
    model = FaceDiscriminator()
    model.build()
    widths = [3, 64, 128, 256, 512, 512, 512]
    convolutions = sum(16 * a * b for a, b in zip(widths, widths[1:], strict=False))
    # A bias in the first layer and the last, four numbers a channel in the five normalisations.
    assert model.count_params() == convolutions + 64 + 4 * sum(widths[2:]) + 512 + 1
    assert [layer.use_bias for layer in model.convolutions] == [True] + 5 * [False]


def test_discriminator_judges_each_image():
    batch = pictures(3, 128, 128, 3)
    plain = FaceDiscriminator(width=4, normalization=False)
    for model in (FaceDiscriminator(width=4), plain):
        logits = array(model(batch))
        assert logits.shape == (3, 1) and logits.dtype == np.float32 and np.ptp(logits) > 0
        np.testing.assert_allclose(logits[1:2], array(model(batch[1:2])), atol=1e-5)
        twin = FaceDiscriminator.from_config(model.get_config())
        assert twin.get_config() == model.get_config()
    # Six times half of 128 is 2x2: 4x4 kernels at 64x64, 32x32, ... positions, and 128 features to a number.
    widths = [3, 4, 8, 16, 32, 64, 128]
    positions = [64**2, 32**2, 16**2, 8**2, 4**2, 2**2]
    expected = sum(16 * a * b * count for a, b, count in zip(widths, widths[1:], positions, strict=False))
    assert count_multiply_adds(plain) == expected + 128
    # Without normalisation, images do not see each other in training either.
    np.testing.assert_allclose(
        array(plain(batch, training=True))[:1], array(plain(batch[:1], training=True)), atol=1e-5
    )
    with pytest.raises(ValueError, match="FaceDiscriminator: depth"):
        FaceDiscriminator(depth=0)
