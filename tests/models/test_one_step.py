import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo.models.one_step import InceptionModule, OneStep
from deblur_zoo.zoo.multiply_adds import count_multiply_adds

SMALL = {"width": 8, "reduced_width": 4, "modules": 2, "kernel_sizes": (1, 3, 14)}
LITE = {**SMALL, "kernel_sizes": (1, 3), "scale": 4, "image_skip": True}
ATTENTION = {**LITE, "channel_attention": True}
VARIANTS = {"paper": SMALL, "lite": LITE, "no reduction": {**SMALL, "reduction": False}, "attention": ATTENTION}


def randomised(**arguments):
    """A model whose weights are all random: the zero start of the skip variant would hide faults."""
    keras.utils.set_random_seed(0)
    model = OneStep(**arguments)
    model.build()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        fan_in = max(1, int(np.prod(weight.shape[:-1])))
        weight.assign(rng.normal(scale=0.5 / np.sqrt(fan_in), size=weight.shape))
    return model


def images(*shape, seed=1):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def restore(model, batch):
    return ops.convert_to_numpy(model(batch, training=False))


def test_parameters_of_the_paper_by_hand():
    # First 3x3x3x64 + 64; a module: five reductions 64x32 + 32, branches k*k*32*32 + 32 where the squares of the sizes
    # 1, 3, 5, 7 and 14 sum to 280, merge 160x64 + 64; last 64x3 + 3.
    module = 5 * (64 * 32 + 32) + 280 * 32 * 32 + 5 * 32 + 160 * 64 + 64
    model = OneStep()
    model.build()
    assert model.count_params() == (3 * 3 * 3 * 64 + 64) + 6 * module + (64 * 3 + 3) == 1_847_491


def test_reduction_saves_47_percent_of_the_convolutions():
    def weights_of(reduction):
        module = InceptionModule(64, 32, (1, 3, 5, 7, 14), reduction)
        module.build((None, None, None, 64))
        return sum(int(np.prod(weight.shape)) for weight in module.weights if len(weight.shape) == 4)

    # 5*64*32 + 280*32*32 + 160*64 = 307,200 against 280*64*32 + 160*64 = 583,680.
    assert (weights_of(True), weights_of(False)) == (307_200, 583_680)


def numpy_same_convolution(image, kernel, bias):
    """Correlation by SciPy with TensorFlow's "same" zero padding: (k - 1) // 2 before, k // 2 after."""
    signal = pytest.importorskip("scipy.signal")
    size = kernel.shape[0]
    padded = np.pad(image, [((size - 1) // 2, size // 2)] * 2 + [(0, 0)])
    channels = [
        sum(
            signal.correlate2d(padded[..., i], kernel[..., i, o].astype("float64"), mode="valid")
            for i in range(kernel.shape[2])
        )
        for o in range(kernel.shape[3])
    ]
    return np.stack(channels, axis=-1) + bias


def test_module_equals_scipy_also_with_the_even_kernel():
    module = InceptionModule(6, 3, (1, 3, 14))
    features = images(1, 9, 11, 6) - 0.5
    value = ops.convert_to_numpy(module(features))[0]
    leaky = lambda x: np.where(x > 0, x, 0.01 * x)  # noqa: E731
    branches = []
    for reduce, branch in zip(module.reductions, module.branches, strict=True):
        reduced = numpy_same_convolution(features[0], *(weight.numpy() for weight in reduce.weights))
        branches.append(leaky(numpy_same_convolution(reduced, *(weight.numpy() for weight in branch.weights))))
    merge = [weight.numpy() for weight in module.merge.weights]
    expected = features[0] + numpy_same_convolution(np.concatenate(branches, axis=-1), *merge)
    np.testing.assert_allclose(value, expected, atol=2e-6)


def test_channel_attention_by_hand():
    plain, gained = InceptionModule(2, 1, (1, 1)), InceptionModule(2, 1, (1, 1), channel_attention=True)
    features = images(1, 3, 4, 2)
    plain(features), gained(features)
    shared = plain.get_weights()
    # Gains start at one: kernel (2, 2) and bias (2,) of zeros, before the merge's weights.
    gained.set_weights([*shared[:-2], np.zeros((2, 2)), np.zeros(2), *shared[-2:]])
    np.testing.assert_array_equal(ops.convert_to_numpy(gained(features)), ops.convert_to_numpy(plain(features)))
    gains, bias = np.array([[1.0, 0.0], [0.0, -2.0]]), np.array([0.5, 0.0])
    gained.set_weights([*shared[:-2], gains, bias, *shared[-2:]])
    branches = []
    for reduce, branch in zip(plain.reductions, plain.branches, strict=True):
        branches.append(ops.convert_to_numpy(ops.leaky_relu(branch(reduce(features)), 0.01)))
    stacked = np.concatenate(branches, axis=-1)
    means = stacked.mean(axis=(1, 2))[0]
    stacked = stacked * [1 + 2 * np.tanh((means[0] + 0.5) / 2), 1 + 2 * np.tanh(-2 * means[1] / 2)]
    merge, merge_bias = shared[-2:]
    expected = features + stacked @ merge[0, 0] + merge_bias
    np.testing.assert_allclose(ops.convert_to_numpy(gained(features)), expected, rtol=1e-5, atol=1e-6)


def test_channel_attention_is_bounded():
    """Gains that grow with the features would feed on themselves from module to module."""
    module = InceptionModule(1, 1, (1,), channel_attention=True)
    module(images(1, 2, 2, 1))
    # Everything passes unchanged; the gain would be 1 + 1000 without the bound, and is 1 + 2 with it.
    pass_on = [np.ones((1, 1, 1, 1)), np.zeros(1)]
    module.set_weights([*pass_on, *pass_on, np.full((1, 1), 1000.0), np.zeros(1), *pass_on])
    np.testing.assert_allclose(ops.convert_to_numpy(module(np.ones((1, 2, 2, 1), "float32"))), 1 + 3, rtol=1e-6)


@pytest.mark.parametrize("scale", [2, 4])
def test_scale_is_space_to_depth_and_a_3x3_convolution(scale):
    model = randomised(**{**LITE, "scale": scale, "modules": 1})
    batch = images(1, 4 * scale, 5 * scale, 3)
    # The kernel of 3*scale with stride scale, cut into 3x3 cells of scale x scale pixels.
    kernel, bias = (weight.numpy() for weight in model.first.weights)
    cells = batch.reshape(1, 4, scale, 5, scale, 3).transpose(0, 1, 3, 2, 4, 5).reshape(1, 4, 5, -1)
    small = kernel.reshape(3, scale, 3, scale, 3, -1).transpose(0, 2, 1, 3, 4, 5).reshape(3, 3, scale * scale * 3, -1)
    expected = numpy_same_convolution(cells[0], small, bias)
    np.testing.assert_allclose(ops.convert_to_numpy(model.first(batch))[0], expected, atol=1e-5)


@pytest.mark.parametrize("arguments", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("height,width", [(1, 1), (7, 13), (33, 18)])
def test_any_size_and_range(arguments, height, width):
    restored = restore(randomised(**arguments), images(2, height, width, 3))
    assert restored.shape == (2, height, width, 3)
    assert restored.dtype == np.float32
    assert restored.min() >= 0 and restored.max() <= 1


@pytest.mark.parametrize("arguments", VARIANTS.values(), ids=VARIANTS)
def test_batch_independence(arguments):
    model = randomised(**arguments)
    batch = images(5, 20, 24, 3)
    together = restore(model, batch)
    alone = np.concatenate([restore(model, batch[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_padding_does_not_leak_into_a_size_that_divides():
    model = randomised(**LITE)
    batch = images(1, 16, 16, 3)
    direct = ops.convert_to_numpy(ops.clip(model.restore(batch), 0, 1))
    np.testing.assert_array_equal(restore(model, batch), direct)


def test_image_skip_starts_as_the_identity():
    batch = images(2, 16, 16, 3)
    np.testing.assert_array_equal(restore(OneStep(**LITE), batch), batch)


def test_training_output_is_not_clipped():
    model = randomised(**SMALL)
    batch = 4 * images(1, 8, 8, 3)
    raw = ops.convert_to_numpy(model(batch, training=True))
    assert raw.max() > 1 or raw.min() < 0
    np.testing.assert_array_equal(restore(model, batch), np.clip(raw, 0, 1))


@pytest.mark.parametrize("arguments", VARIANTS.values(), ids=VARIANTS)
def test_config_and_weights_round_trip(arguments, tmp_path):
    model = randomised(**arguments)
    twin = OneStep.from_config(model.get_config())
    twin.build()
    model.save_weights(tmp_path / "model.weights.h5")
    twin.load_weights(tmp_path / "model.weights.h5")
    batch = images(1, 12, 12, 3)
    np.testing.assert_array_equal(restore(twin, batch), restore(model, batch))


def test_keras_file_round_trip(tmp_path):
    model = randomised(**LITE)
    batch = images(1, 12, 12, 3)
    before = restore(model, batch)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(restore(keras.saving.load_model(tmp_path / "model.keras"), batch), before)


def test_mixed_precision_keeps_the_picture_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = randomised(**LITE)
    finally:
        keras.config.set_dtype_policy("float32")
    twin = randomised(**LITE)
    batch = images(1, 16, 16, 3)
    # bfloat16 keeps 8 bits: the residual is off by parts in 2**8, the picture itself must not be.
    np.testing.assert_allclose(restore(model, batch), restore(twin, batch), atol=0.03)
    for weight in model.last.weights:
        weight.assign(ops.zeros(weight.shape))
    np.testing.assert_array_equal(restore(model, batch), batch)


def test_every_weight_receives_a_gradient():
    tf = pytest.importorskip("tensorflow")
    model = randomised(**SMALL, channel_attention=True)
    batch = images(2, 16, 16, 3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(batch, training=True) - 0.3) ** 2)
    for weight, gradient in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True):
        assert np.all(np.isfinite(gradient)) and np.any(gradient.numpy() != 0), weight.path


@pytest.mark.parametrize("wrong", [{"width": 0}, {"modules": -1}, {"scale": 1.5}, {"kernel_sizes": (3, 0)}])
def test_invalid_arguments(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        OneStep(**{**SMALL, **wrong})


def test_multiply_adds_by_hand():
    # Paper, a pixel: 27*64 + 6 modules of (5*64*32 + 280*32*32 + 160*64 = 307,200) + 64*3.
    model = OneStep()
    model.build()
    assert count_multiply_adds(model, 128, 128) == 128 * 128 * (27 * 64 + 6 * 307_200 + 64 * 3)
    # A quarter of the resolution, so 32*32 positions: first 12*12*3*8; a module 2*8*4 + (1 + 9)*4*4 + 8*8; last 8*48,
    # and the gains of channel attention, 8*8, once an image.
    model = OneStep(**ATTENTION)
    model.build()
    assert count_multiply_adds(model, 128, 128) == 32 * 32 * (432 * 8 + 2 * (64 + 160 + 64) + 8 * 48) + 2 * 64
