"""umsn's blocks against SciPy and OpenCV."""

import numpy as np
import pytest
from keras import ops

from deblur_zoo.models.umsn_blocks import (
    DenseBlock,
    OneChannelMaps,
    SharedSmoothing,
    Transition,
    double,
    instance_normalize,
    stem,
)
from deblur_zoo.models.umsn_heads import Doubling, ImageOutput, NestedDifference, bilinear_double


def array(value):
    return ops.convert_to_numpy(value).astype("float64")


def pictures(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomised(layer, *shapes, seed=0):
    """The layer with random weights, built by running it once."""
    layer(*(np.zeros(shape, np.float32) for shape in shapes))
    random = np.random.default_rng(seed)
    for weight in layer.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        else:
            weight.assign(random.normal(scale=0.3, size=weight.shape))
    return layer


def correlate(image, kernel, dilation=1):
    """Zero-padded correlation of (H, W, C) with (k, k, C, F), odd k, by SciPy; a dilated kernel has zeros between."""
    signal = pytest.importorskip("scipy.signal")
    spread = np.zeros((*((side - 1) * dilation + 1 for side in kernel.shape[:2]), *kernel.shape[2:]))
    spread[::dilation, ::dilation] = kernel
    channels = [
        sum(signal.correlate2d(image[..., c], spread[..., c, f], mode="same") for c in range(image.shape[-1]))
        for f in range(kernel.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def leaky(values):
    return np.where(values > 0, values, 0.2 * values)


def standardised(image):
    return (image - image.mean((0, 1))) / np.sqrt(image.var((0, 1)) + 1e-5)


def test_instance_normalization_by_hand():
    batch = pictures(2, 7, 5, 3) * 3 + 8
    expected = np.stack([standardised(image.astype("float64")) for image in batch])
    # Means of 8 are squared and taken away again: 64 times the rounding of float32, relative to a variance of 9.
    np.testing.assert_allclose(array(instance_normalize(batch)), expected, atol=1e-5)
    np.testing.assert_array_equal(array(instance_normalize(np.full((1, 4, 4, 1), 0.7, np.float32))), 0)


def test_smoothing_is_one_kernel_for_all_channels_and_starts_as_the_identity():
    image = pictures(1, 6, 9, 3)
    smoothing = SharedSmoothing()
    np.testing.assert_array_equal(array(smoothing(image)), image)
    taps = np.arange(9.0) - 3
    smoothing.taps.assign(taps)
    expected = [correlate(image[0, ..., c : c + 1], taps.reshape(3, 3, 1, 1))[..., 0] for c in range(3)]
    np.testing.assert_allclose(array(smoothing(image))[0], np.stack(expected, axis=-1), atol=1e-4)


def block_by_hand(block, image, dilations, normalised=standardised, smoothing=None):
    """1x1 and 3x3 convolutions of normalised ReLUs, smoothing before the last, plus the shortcut, beside the input."""
    hidden = image
    for i, (convolution, dilation) in enumerate(zip(block.convolutions, dilations, strict=True)):
        hidden = np.maximum(normalised(hidden), 0)
        if smoothing is not None and i == len(dilations) - 1:
            channels = [correlate(hidden[..., c : c + 1], smoothing) for c in range(hidden.shape[-1])]
            hidden = np.concatenate(channels, axis=-1)
        hidden = correlate(hidden, array(convolution.kernel), dilation)
        if convolution.use_bias:
            hidden = hidden + array(convolution.bias)
    return np.concatenate([image, hidden + correlate(image, array(block.shortcut.kernel))], axis=-1)


@pytest.mark.parametrize("height, width", [(8, 10), (7, 5)])
def test_smoothed_dilated_block_equals_an_independent_implementation(height, width):
    block = randomised(DenseBlock(3, 5, dilations=(1, 2, 2), smoothed=True), (1, 4, 4, 4))
    image = pictures(1, height, width, 4)
    smoothing = array(block.smoothing.taps).reshape(3, 3, 1, 1)
    expected = block_by_hand(block, image[0].astype("float64"), (1, 1, 2, 2), smoothing=smoothing)
    # Float32; features of size 1 to 10, normalised again and again.
    np.testing.assert_allclose(array(block(image))[0], expected, atol=2e-4)
    # Without biases: 1x1, two of 3x3 inside, one to the growth, the nine taps, the shortcut.
    assert block.count_params() == 4 * 5 + 2 * 9 * 5 * 5 + 9 * 5 * 3 + 9 + 4 * 3


@pytest.mark.parametrize("normalization", ["instance", None])
def test_a_doubled_block_is_a_plain_one_on_repeated_pixels(normalization):
    settings = {"growth": 3, "hidden_width": 5, "dilations": (1, 2, 1), "normalization": normalization}
    doubled = randomised(DenseBlock(**settings, doubled=True), (1, 4, 4, 4))
    plain = DenseBlock(**settings)
    image = pictures(2, 7, 5, 4)
    repeated = image.repeat(2, axis=1).repeat(2, axis=2)
    plain(repeated)
    plain.set_weights(doubled.get_weights())
    # Float32, sums in another order, normalised again and again.
    np.testing.assert_allclose(array(doubled(image)), array(plain(repeated)), atol=2e-4)


def test_block_without_normalisation_has_biases():
    block = randomised(DenseBlock(2, 3, normalization=None), (1, 4, 4, 4))
    image = pictures(1, 6, 5, 4)
    expected = block_by_hand(block, image[0].astype("float64"), (1, 1, 1, 1), normalised=lambda values: values)
    np.testing.assert_allclose(array(block(image))[0], expected, atol=1e-4)
    alone = randomised(DenseBlock(2, 3, normalization=None, dense=False), (1, 4, 4, 4))
    np.testing.assert_allclose(array(alone(image))[0], expected[..., 4:], atol=1e-4)


def test_block_with_batch_normalisation_uses_running_statistics_in_inference():
    block = randomised(DenseBlock(2, 3, dilations=(2, 2), normalization="batch"), (1, 4, 4, 4))
    image = pictures(1, 6, 6, 4)
    statistics = [[array(weight) for weight in layer.batch.weights] for layer in block.normalizations]
    used = iter(statistics)

    def normalised(values):
        gamma, beta, mean, variance = next(used)
        return gamma * (values - mean) / np.sqrt(variance + 1e-3) + beta

    expected = block_by_hand(block, image[0].astype("float64"), (1, 2, 2), normalised=normalised)
    np.testing.assert_allclose(array(block(image))[0], expected, atol=1e-4)


def test_attention_multiplies_before_the_last_convolution():
    settings = {"normalization": None, "dense": False, "channel_attention": True}
    block = randomised(DenseBlock(2, 3, **settings), (1, 4, 4, 4))
    plain = DenseBlock(2, 3, **{**settings, "channel_attention": False})
    plain.build((1, 4, 4, 4))
    plain.set_weights([array(weight) for weight in block.weights if "gains" not in weight.path])
    image = pictures(1, 5, 6, 4)
    kernel = array(block.gains.kernel)
    # A constant gain of 1 + 2 tanh(0.5 / 2) on every channel instead: the last kernel times it.
    block.gains.kernel.assign(np.zeros(kernel.shape))
    block.gains.bias.assign(np.full(3, 0.5))
    last = plain.convolutions[-1]
    last.kernel.assign(array(last.kernel) * (1 + 2 * np.tanh(0.25)))
    np.testing.assert_allclose(array(block(image)), array(plain(image)), atol=1e-5)


def test_transition():
    image = pictures(1, 5, 6, 4)
    transition = randomised(Transition(3), (1, 4, 4, 4))
    expected = correlate(np.maximum(standardised(image[0].astype("float64")), 0), array(transition.convolution.kernel))
    np.testing.assert_allclose(array(transition(image))[0], expected, atol=1e-5)
    linear = Transition(4, normalization=None)
    # Of six channels the first four are handed on, with something of the last two.
    wide = np.concatenate([image, 0 * image[..., :2]], axis=-1)
    np.testing.assert_allclose(array(linear(wide)), image, atol=1e-6)
    wide[..., 4:] = 1
    assert np.ptp(array(linear(wide)) - image, axis=(0, 1, 2)).max() < 1e-5 and np.any(array(linear(wide)) != image)


def test_doublings_equal_opencv():
    cv2 = pytest.importorskip("cv2")
    image = pictures(1, 5, 3, 2)
    expected = cv2.resize(image[0], (6, 10), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(array(bilinear_double(image))[0], expected, atol=1e-6)
    expected = cv2.resize(image[0], (6, 10), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(array(double(image))[0], expected)


def test_doubling_is_a_transition_doubled_and_a_convolution():
    doubling = randomised(Doubling(3), (1, 4, 4, 4))
    image = pictures(1, 4, 6, 4)
    doubled = array(bilinear_double(doubling.transition(image)))[0]
    np.testing.assert_allclose(
        array(doubling(image))[0], correlate(doubled, array(doubling.convolution.kernel)), atol=1e-4
    )
    flat = randomised(Doubling(3, doubles=False), (1, 4, 4, 4))
    np.testing.assert_array_equal(array(flat(image)), array(flat.transition(image)))


def test_one_channel_maps_are_brought_to_one_size():
    maps = OneChannelMaps(2)
    images = [pictures(1, 8, 4, 3), pictures(1, 2, 1, 5)]
    found = maps(images, doublings=(0, 2))
    assert [one.shape for one in found] == [(1, 8, 4, 1), (1, 8, 4, 1)]
    small = leaky(correlate(images[1][0].astype("float64"), array(maps.convolutions[1].kernel)))
    np.testing.assert_allclose(array(found[1])[0], small.repeat(4, 0).repeat(4, 1), atol=1e-5)


def test_nested_residual_by_hand():
    """The image minus tanh of what is read off a difference of features, and the two layers after it."""
    image, found = np.random.default_rng(0).random((6, 5, 3)), pictures(6, 5, 4, seed=2).astype("float64")
    inputs = 2 * image - 1
    difference = randomised(NestedDifference(4), (1, 6, 5, 3), (1, 6, 5, 4))
    own, of_found = (correlate(x, array(layer.kernel)) + array(layer.bias)
                     for x, layer in ((inputs, difference.own), (found, difference.found)))  # fmt: skip
    expected = leaky(own) - leaky(of_found)
    features = difference(inputs[None].astype("float32"), found[None].astype("float32"))
    np.testing.assert_allclose(array(features)[0], expected, atol=1e-5)

    head = randomised(ImageOutput(), (1, 6, 5, 4))
    first, second = head.refinements
    residual = np.tanh(correlate(expected, array(head.residual.kernel)) + array(head.residual.bias))
    clean = leaky(correlate(inputs - residual, array(first.kernel)) + array(first.bias))
    clean = np.tanh(correlate(clean, array(second.kernel)) + array(second.bias))
    found_residual = head(features)
    np.testing.assert_allclose(array(found_residual)[0], residual, atol=1e-5)
    restored = head.image(image[None].astype("float32"), found_residual)
    np.testing.assert_allclose(array(restored)[0], (clean + 1) / 2, atol=1e-5)
    assert [layer.kernel.shape for layer in head.refinements] == [(7, 7, 3, 8), (3, 3, 8, 3)]


def test_without_nested_residuals_the_inputs_have_no_feature():
    difference = randomised(NestedDifference(4, nested=False), (1, 6, 5, 3), (1, 6, 5, 4))
    found = pictures(1, 6, 5, 4)
    expected = leaky(
        correlate(found[0].astype("float64"), array(difference.found.kernel)) + array(difference.found.bias)
    )
    np.testing.assert_allclose(array(difference(0 * found[..., :3], found))[0], expected, atol=1e-5)
    assert difference.own is None


def test_image_skip_head():
    head = ImageOutput(scale=4, image_skip=True)
    features, image = pictures(1, 2, 3, 5), np.random.default_rng(0).random((1, 8, 12, 3)).astype("float32")
    np.testing.assert_array_equal(array(head.image(image, head(features))), image.astype("float64"))
    head.residual.bias.assign([0.5, 0, -1])
    np.testing.assert_allclose(array(head.image(image, head(features))), image - [0.25, 0, -0.5], atol=1e-6)
    assert head.refinements == []


def test_stem_works_on_a_fraction_of_the_size():
    layer = stem(5, 4)
    assert layer(pictures(1, 8, 16, 3)).shape == (1, 2, 4, 5) and layer.kernel_size == (8, 8) and not layer.use_bias
