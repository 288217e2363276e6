import importlib.util
import os
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from deblur_zoo.blur import convolution
from tests.commands import run_python

BACKEND = keras.backend.backend()
METHODS = ("auto", "grouped", "fft") if BACKEND != "jax" else ("fft",)
if BACKEND == "jax":
    import jax

    # Compiled whole: operation by operation each new shape would be compiled a dozen times.
    blur = jax.jit(convolution.blur, static_argnames="method")
else:
    blur = convolution.blur
only_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow")


def samples(shape, kernel_size, seed=0):
    """Random images and asymmetric kernels of sum 1 that differ from image to image."""
    generator = np.random.default_rng(seed)
    images = generator.random(shape, dtype=np.float32)
    kernels = generator.random((shape[0], kernel_size, kernel_size)).astype(np.float32) ** 4
    return images, kernels / kernels.sum(axis=(1, 2), keepdims=True)


def reference(images, kernels):
    """SciPy in float64, image by image and channel by channel."""
    blurred = np.empty(images.shape)
    for index, kernel in enumerate(kernels):
        for channel in range(images.shape[3]):
            plane = images[index, :, :, channel].astype(np.float64)
            blurred[index, :, :, channel] = ndimage.convolve(plane, kernel.astype(np.float64), mode="mirror")
    return blurred


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "shape, kernel_size",
    [
        ((3, 24, 31, 3), 13),  # odd
        ((3, 24, 31, 3), 14),  # even: turns around pixel 7, as SciPy's origin 0
        ((2, 24, 31, 3), 1),
        ((2, 24, 31, 3), 2),
        ((1, 64, 48, 3), 29),
        ((2, 9, 16, 3), 27),  # larger than the image
        ((2, 5, 4, 3), 28),  # larger than several images
        ((2, 1, 7, 3), 13),  # one row
        ((1, 1, 1, 3), 9),
        ((2, 20, 20, 1), 7),
        ((2, 20, 20, 4), 7),
        ((2, 20, 20, 2), 8),
    ],
)
def test_equals_scipy(method, shape, kernel_size):
    images, kernels = samples(shape, kernel_size)
    blurred = ops.convert_to_numpy(blur(images, kernels, method))
    # float32 sums of at most 841 terms of sum 1: a few 1e-7.
    np.testing.assert_allclose(blurred, reference(images, kernels), rtol=0, atol=3e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_point_of_light_shows_the_kernel_unturned(method):
    """Convolution, not correlation; an even kernel reaches further up and left."""
    image = np.zeros((1, 9, 9, 1), np.float32)
    image[0, 4, 4, 0] = 1
    kernel = np.arange(1, 17, dtype=np.float32).reshape(1, 4, 4)
    blurred = ops.convert_to_numpy(blur(image, kernel, method))[0, :, :, 0]
    expected = np.zeros((9, 9))
    expected[2:6, 2:6] = kernel[0]
    np.testing.assert_allclose(blurred, expected, atol=1e-5)


def test_a_centred_even_kernel_does_not_move_the_picture():
    from deblur_zoo.blur.kernels import make_bank

    bank = make_bank("gaussian_process", 6, (8, 13, 20))
    ramp = np.broadcast_to(np.arange(60, dtype=np.float32)[None, None, :, None] / 60, (6, 40, 60, 1))
    blurred = ops.convert_to_numpy(blur(ramp, bank.kernels))
    # A ramp is moved by the kernel's mean: at most 1/16 pixel.
    inside = np.s_[:, 15:25, 15:45]
    assert np.abs(blurred[inside] - ramp[inside]).max() * 60 < 0.08


def test_values_do_not_depend_on_the_company():
    images, kernels = samples((5, 20, 20, 3), 9)
    together = ops.convert_to_numpy(blur(images, kernels))
    alone = ops.convert_to_numpy(blur(images[3:4], kernels[3:4]))
    np.testing.assert_allclose(alone[0], together[3], atol=1e-6)


def test_float32_inside_whatever_the_policy():
    images, kernels = samples((2, 30, 30, 3), 13)
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        blurred = blur(images, kernels)
        half = blur(ops.cast(images, "bfloat16"), ops.cast(kernels, "float32"))
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_allclose(ops.convert_to_numpy(blurred), reference(images, kernels), atol=3e-6)
    # The type of the images comes back; what is lost is the rounding of input and output, 2^-9 of values up to 1 each.
    assert keras.backend.standardize_dtype(half.dtype) == "bfloat16"
    exact = reference(ops.convert_to_numpy(ops.cast(ops.cast(images, "bfloat16"), "float32")), kernels)
    assert np.abs(ops.convert_to_numpy(ops.cast(half, "float32")) - exact).max() < 2**-9


@only_tensorflow
@pytest.mark.parametrize("method", METHODS)
def test_sizes_known_only_at_run_time(method):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None, 27, 27])])
    def graph(images, kernels):
        return blur(images, kernels, method)

    for shape in ((2, 40, 33, 3), (3, 10, 64, 3)):
        images, kernels = samples(shape, 27)
        np.testing.assert_allclose(graph(images, kernels), reference(images, kernels), atol=3e-6)


def chosen(monkeypatch):
    """Records which formulation is used."""
    used = []
    for name in ("_blur_grouped", "_blur_by_spectrum"):
        function = getattr(convolution, name)
        monkeypatch.setattr(
            convolution,
            name,
            lambda *arguments, name=name, function=function: used.append(name) or function(*arguments),
        )
    return used


@only_tensorflow
def test_auto_takes_the_spectrum_under_xla(monkeypatch):
    import tensorflow as tf

    used = chosen(monkeypatch)
    images, kernels = (tf.constant(part) for part in samples((2, 16, 16, 3), 5))
    compiled = tf.function(blur, jit_compile=True)
    np.testing.assert_allclose(compiled(images, kernels), reference(images.numpy(), kernels.numpy()), atol=3e-6)
    assert used == ["_blur_by_spectrum"]
    # Traced only; inside another function; within a Keras model.
    tf.function(blur, jit_compile=True).get_concrete_function(images, kernels)
    tf.function(lambda *parts: tf.function(blur)(*parts), jit_compile=True)(images, kernels)
    tf.function(lambda *parts: tf.function(blur, jit_compile=True)(*parts))(images, kernels)

    class Blurring(keras.Model):
        def call(self, inputs):
            return blur(*inputs)

    model = Blurring()
    model.compile(jit_compile=True)
    model.predict((images.numpy(), kernels.numpy()), verbose=0)
    assert set(used) == {"_blur_by_spectrum"} and len(used) >= 5


@only_tensorflow
def test_auto_takes_the_grouped_convolution_on_a_processor(monkeypatch):
    import tensorflow as tf

    if convolution._has_accelerator():
        pytest.skip("this machine has an accelerator")
    used = chosen(monkeypatch)
    images, kernels = (tf.constant(part) for part in samples((2, 16, 16, 3), 5))
    blur(images, kernels)
    tf.function(blur)(images, kernels)
    assert used == ["_blur_grouped"] * 2


@only_tensorflow
def test_grouped_is_refused_under_xla():
    import tensorflow as tf

    images, kernels = (tf.constant(part) for part in samples((2, 16, 16, 3), 5))
    with pytest.raises(ValueError, match="'grouped'.* XLA"):
        tf.function(lambda *parts: blur(*parts, method="grouped"), jit_compile=True)(images, kernels)


@only_tensorflow
def test_hidden_xla_mark_means_spectrum(monkeypatch):
    """If a later TensorFlow hides the mark, the safe answer is taken."""
    import tensorflow as tf

    class Graphless:
        graph = object()

    monkeypatch.setattr(convolution.ops, "zeros", lambda shape: Graphless())
    assert convolution._compiled_by_xla()
    monkeypatch.undo()
    assert not convolution._compiled_by_xla()
    assert tf.executing_eagerly()


@pytest.mark.skipif(BACKEND != "jax", reason="about JAX")
def test_jax_uncompiled():
    images, kernels = samples((2, 24, 17, 3), 13)
    blurred = convolution.blur(images, kernels)
    np.testing.assert_allclose(np.asarray(blurred), reference(images, kernels), atol=3e-6)
    with pytest.raises(ValueError, match="'grouped'.* XLA"):
        convolution.blur(images, kernels, "grouped")


@pytest.mark.skipif(BACKEND == "jax", reason="this is the run under JAX")
def test_under_jax():
    """This file and the noise's once more, in a process with the JAX backend."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    files = [str(Path(__file__).with_name(name)) for name in ("test_convolution.py", "test_noise.py")]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = run_python("-m", "pytest", "-p", "no:cacheprovider", *files, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize("side, fast", [(154, 160), (128, 128), (282, 288), (7, 8), (1, 1), (121, 125)])
def test_fast_sizes(side, fast):
    assert convolution._fast_size(side) == fast


@pytest.mark.parametrize(
    "shape, kernels, method, error, sentence",
    [
        ((2, 8, 8, 3), (3, 5, 5), "auto", ValueError, "2 images, got 3"),
        ((8, 8, 3), (8, 5, 5), "auto", ValueError, r"\(N, H, W, C\)"),
        ((2, 8, 8, 3), (2, 5, 4), "auto", ValueError, r"\(N, K, K\)"),
        ((2, 8, 8, 3), (5, 5), "auto", ValueError, r"\(N, K, K\)"),
        ((2, 8, 8, 3), (2, 5, 5), "fast", ValueError, "auto, grouped, fft"),
    ],
)
def test_bad_input(shape, kernels, method, error, sentence):
    with pytest.raises(error, match=sentence):
        blur(np.zeros(shape, np.float32), np.zeros(kernels, np.float32), method)


def test_integers_are_refused():
    with pytest.raises(TypeError, match="floating point, got uint8"):
        blur(np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 5, 5), np.float32))
