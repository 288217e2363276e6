import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from deblur_zoo.layers.adaptive_filters import AdaptiveFilters, filter_bank
from deblur_zoo.models.enhancement_gan import EnhancementGan
from deblur_zoo.models.one_step import OneStep
from deblur_zoo.models.semantic_face import SemanticFace
from deblur_zoo.models.two_step_gan import TwoStepGan
from deblur_zoo.models.umsn import Umsn
from trainers.runs.widening import widen

MODELS = {
    OneStep: dict(width=4, reduced_width=2, modules=1, kernel_sizes=(1, 3), scale=4),
    EnhancementGan: dict(widths=(4, 6), blocks=1, growth=2, dense_depth=2, dense_blocks=1, dense_units=1, scale=4),
    SemanticFace: dict(width=4, residual_blocks=1, first_kernel=3, kernel_size=3, scale=4, parser_widths=(4, 5, 6)),
    TwoStepGan: dict(hourglass_widths=(4, 4), hourglass_levels=1, encoder_widths=(4, 6, 6), decoder_widths=(6, 4),
                     scale=4, keep_probability=1.0),
    Umsn: dict(width=4, blocks=1, last_width=4, feature_width=4, feature_blocks=1, scale=4, parser_width=4,
               pooled=False, dilated=False, normalization=None, one_channel_maps=False),
}  # fmt: skip


def picture(seed=0, size=(32, 40)):
    return np.random.default_rng(seed).uniform(0.2, 0.8, (1, *size, 3)).astype("float32")


def filtered(image):
    """All responses of each colour, added up, by SciPy."""
    sums = [
        sum(
            ndimage.correlate(image[0, :, :, colour], values, mode="constant")
            for values in np.moveaxis(filter_bank(), -1, 0)
        )
        for colour in range(3)
    ]
    return np.stack(sums, axis=-1)[None]


def layer_with_gates(value, width=4, scale=4, features=5):
    layer = AdaptiveFilters(width, scale)
    layer.build((None, None, None, 3), (None, None, None, features))
    layer.gates.bias.assign(np.full(layer.count, value, "float32"))
    return layer


def test_the_bank_has_no_mean_and_unit_norm():
    bank = filter_bank()
    np.testing.assert_allclose(bank.sum(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose((bank**2).sum(axis=(0, 1)), 1, atol=1e-5)


def test_directional_filters_see_edges_across_them_only():
    # The second derivative along the columns of the wider Gaussian.
    across = filter_bank()[..., 7]
    stripes = np.tile(np.cos(np.arange(7) - 3.0), (7, 1))
    assert (across * stripes).sum() > 5 * abs((across * stripes.T).sum())


def test_a_new_branch_adds_nothing():
    layer = AdaptiveFilters(4, 4)
    features = np.random.default_rng(1).normal(size=(1, 8, 10, 5)).astype("float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(picture(), features)), 0)


def test_constant_gates_add_up_the_responses():
    image, features = picture(), np.zeros((1, 8, 10, 5), "float32")
    result = ops.convert_to_numpy(layer_with_gates(0.5)(image, features))
    np.testing.assert_allclose(result, 0.5 * filtered(image), atol=1e-5)


def test_gates_are_interpolated_between_the_features_pixels():
    layer, image = layer_with_gates(0.0), picture()
    features = np.zeros((1, 8, 10, 5), "float32")
    features[0, :, :, 0] = np.arange(10)
    mix = np.zeros(layer.mix.kernel.shape, "float32")
    mix[1, 1, 0, 0] = 1
    layer.mix.kernel.assign(mix)
    gates = np.zeros(layer.gates.kernel.shape, "float32")
    gates[0, 0, 0] = 1
    layer.gates.kernel.assign(gates)
    # A window of four pixels over four repetitions of each column's number; TensorFlow's "same" begins one before.
    steps = np.repeat(np.arange(10.0), 4)
    ramp = [steps[column - 1 : column + 3].mean() for column in range(4, 36)]
    result = ops.convert_to_numpy(layer(image, features))
    np.testing.assert_allclose(result[:, :, 4:36], filtered(image)[:, :, 4:36] * np.array(ramp)[:, None], atol=1e-4)


def test_a_scale_without_doubling_is_refused():
    with pytest.raises(ValueError, match="power of two, got 6"):
        AdaptiveFilters(4, 6)


@pytest.mark.parametrize("kind", MODELS)
def test_every_method_adds_the_filtered_image(kind):
    arguments = {**MODELS[kind], "image_skip": True}
    model, image = kind(**arguments, filter_width=4), picture(size=(64, 64))
    # All other parts of a fresh network leave an image as it is.
    np.testing.assert_allclose(np.asarray(model.run(image)), image, atol=1e-6)
    (filters,) = (layer for layer in model._flatten_layers() if isinstance(layer, AdaptiveFilters))
    filters.gates.bias.assign(np.full(filters.count, 0.01, "float32"))
    # UMSN works on [-1, 1], where the border that a convolution adds is grey instead of black.
    expected = image + 0.01 * (filtered(2 * image - 1) / 2 if kind is Umsn else filtered(image))
    np.testing.assert_allclose(np.asarray(model.run(image)), expected, atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_a_trained_network_keeps_its_function_when_it_gets_filters(kind):
    arguments, image = {**MODELS[kind], "image_skip": True}, picture(size=(64, 64))
    plain, random = kind(**arguments), np.random.default_rng(3)
    plain.run(image)
    for weight in plain.trainable_weights:
        weight.assign(weight + random.normal(scale=0.02, size=weight.shape))
    wide = kind(**arguments, filter_width=4)
    wide.run(image)
    widen(plain, wide)
    expected = np.asarray(plain.run(image))
    assert np.abs(expected - image).max() > 1e-3
    np.testing.assert_allclose(np.asarray(wide.run(image)), expected, atol=1e-5)
