import numpy as np
import pytest
from keras import ops
from PIL import Image

from deblur_zoo.face_classes import CLASS_NAMES
from deblur_zoo.models.face_parser import FaceParser, ParsingNetwork
from deblur_zoo.models.semantic_face import SemanticFace
from deblur_zoo.zoo.multiply_adds import count_multiply_adds


def parser(seed=0, **arguments):
    """Random weights everywhere, also in the normalisations."""
    model = FaceParser(**{"widths": (4, 5, 6), **arguments})
    model.build()
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        else:
            weight.assign(random.normal(scale=0.4, size=weight.shape))
    return model


def pictures(*shape, seed=1):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def correlate(image, kernel):
    """Zero-padded correlation of (H, W, C) with (k, k, C, F), odd k, by SciPy."""
    signal = pytest.importorskip("scipy.signal")
    channels = [
        sum(signal.correlate2d(image[..., c], kernel[..., c, f], mode="same") for c in range(image.shape[-1]))
        for f in range(kernel.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def double(image, kernel):
    """A transposed 4x4 convolution of stride 2, (4, 4, F, C): each pixel adds the kernel at its place."""
    height, width, _ = image.shape
    result = np.zeros((2 * height + 2, 2 * width + 2, kernel.shape[2]))
    for y in range(height):
        for x in range(width):
            result[2 * y : 2 * y + 4, 2 * x : 2 * x + 4] += kernel @ image[y, x]
    return result[1:-1, 1:-1]


def test_equals_an_independent_implementation():
    """Encoder 3x3, 3x3, 5x5 with two poolings, decoder with the encoder's features added after the ReLU."""
    model = parser()
    image = pictures(8, 12, 3)
    network = model.parser

    def normalised(features, layer):
        gamma, beta, mean, variance = (ops.convert_to_numpy(weight) for weight in layer.weights)
        return np.maximum(gamma * (features - mean) / np.sqrt(variance + 1e-3) + beta, 0)

    kernels = lambda group: [ops.convert_to_numpy(layer.weights[0]).astype("float64") for layer in group]  # noqa: E731
    assert [kernel.shape[0] for kernel in kernels(network.encoder)] == [3, 3, 5]
    features, skips = image, []
    for i, kernel in enumerate(kernels(network.encoder)):
        if i:
            features = features.reshape(features.shape[0] // 2, 2, features.shape[1] // 2, 2, -1).max(axis=(1, 3))
        features = normalised(correlate(features, kernel), network.encoder_normalisations[i])
        skips.append(features)
    for i, (up, kernel) in enumerate(zip(kernels(network.upsamplings), kernels(network.decoder), strict=True)):
        features = correlate(double(features, up), kernel)
        features = normalised(features, network.decoder_normalisations[i]) + skips[1 - i]
    kernel, bias = (ops.convert_to_numpy(weight) for weight in network.last.weights)
    logits = correlate(features, kernel) + bias
    found = ops.convert_to_numpy(model.training_outputs(image[None], training=False)["parsing_logits"])[0]
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4 * np.abs(logits).max())
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = exponentials / exponentials.sum(-1, keepdims=True)
    np.testing.assert_allclose(ops.convert_to_numpy(model(image[None]))[0], probabilities, atol=1e-3)


def test_the_published_size():
    # Table 8, 14.80 M of parsing and fine network, minus the fine one's 11.86 M (26.66 M with two of them).
    assert FaceParser().parser.size_divisor == 32
    network = ParsingNetwork()
    network.build((None, None, None, 3))
    assert network.count_params() == pytest.approx(2.94e6, rel=0.01)


def test_multiply_adds_by_hand():
    model = parser(widths=(4, 6))
    # 16x16 pixels: 3x3 from 3 to 4, 3x3 from 4 to 4, 3x3 from 4 to 11. 8x8: 3x3 from 4 to 6, 4x4 from 6 to 4.
    assert count_multiply_adds(model, 16, 16) == 256 * 9 * (12 + 16 + 44) + 64 * (9 * 24 + 16 * 24)
    model = parser(widths=(4, 6), scale=2)
    # The same on 8x8 and 4x4, but for the first (6x6 from 3) and the last (2x2 to 11).
    assert count_multiply_adds(model, 16, 16) == 64 * (36 * 12 + 9 * 16 + 4 * 44) + 16 * (9 * 24 + 16 * 24)


def test_the_most_probable_class_of_every_pixel():
    model = parser()
    image = pictures(10, 7, 3)
    probabilities = ops.convert_to_numpy(model(image[None]))[0]
    labels = model.parse(image)
    assert labels.dtype == np.uint8 and labels.shape == (10, 7)
    np.testing.assert_array_equal(labels, probabilities.argmax(-1))
    assert len(np.unique(labels)) > 2
    bias = model.parser.last.weights[1]
    bias.assign(np.where(np.arange(11) == CLASS_NAMES.index("hair"), 1e3, 0))
    assert np.all(model.parse(image) == 10)


def test_parse_takes_what_deblur_takes(tmp_path):
    model = parser()
    pixels = (pictures(9, 7, 4) * 255).astype(np.uint8)
    rgb = pixels[..., :3]
    expected = model.parse(rgb)
    Image.fromarray(rgb).save(tmp_path / "face.png")
    for same in (tmp_path / "face.png", str(tmp_path / "face.png"), Image.fromarray(rgb), rgb / 255.0, pixels):
        np.testing.assert_array_equal(model.parse(same), expected)
    np.testing.assert_array_equal(model.parse(np.stack([rgb, rgb, rgb[::-1]]), batch_size=2)[1], expected)
    assert model.parse(np.stack([rgb] * 3), batch_size=2).shape == (3, 9, 7)
    assert model.parse(rgb[None]).shape == (1, 9, 7)
    assert model.parse(rgb[..., 0]).shape == model.parse(rgb[..., :1]).shape == (9, 7)
    with pytest.raises(FileNotFoundError):
        model.parse(tmp_path / "absent.png")
    with pytest.raises(ValueError):
        model.parse(np.zeros((3, 4, 5, 6, 7)))


@pytest.mark.parametrize("scale", [1, 2])
def test_weights_carry_over_to_semantic_face(scale):
    model = parser(scale=scale)
    face = SemanticFace(width=4, residual_blocks=1, kernel_size=3, parser_widths=(4, 5, 6), scale=scale)
    face.build()
    face.parser.set_weights(model.parser.get_weights())
    image = pictures(1, 16, 8, 3)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(face.parser(image)),
        ops.convert_to_numpy(model.training_outputs(image, False)["parsing_logits"]),
    )


def test_normalisation_in_training_and_when_frozen():
    model, batch = parser(), pictures(4, 16, 16, 3)
    before = model.get_weights()
    moving = [i for i, weight in enumerate(model.weights) if "moving" in weight.path]
    model(batch, training=False)
    model.parser.trainable = False
    model(batch, training=True)
    for weight, original in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, original)
    model.parser.trainable = True
    model(batch, training=True)
    changed = [i for i, (a, b) in enumerate(zip(model.get_weights(), before, strict=True)) if np.any(a != b)]
    assert changed == moving and len(moving) == 2 * 5


def test_synchronized_reaches_every_normalisation():
    for synchronized in (False, True):
        network = ParsingNetwork((4, 5), synchronized=synchronized)
        found = {layer.synchronized for layer in network._flatten_layers() if hasattr(layer, "synchronized")}
        assert found == {synchronized}


@pytest.mark.parametrize("wrong", [{"widths": ()}, {"widths": (4, 0)}, {"widths": "ab"}, {"scale": 1.5}, {"scale": 0}])
def test_invalid_arguments(wrong):
    with pytest.raises(ValueError, match="FaceParser: .* .*at least 1"):
        FaceParser(**wrong)
