import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data

from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data import host_blur


def samples(shape, kernel_size, seed=0):
    generator = np.random.default_rng(seed)
    kernels = generator.random((shape[0], kernel_size, kernel_size)).astype(np.float32) ** 4
    return generator.random(shape, dtype=np.float32), kernels / kernels.sum(axis=(1, 2), keepdims=True)


def reference(images, kernels):
    blurred = np.empty(images.shape)
    for index, kernel in enumerate(kernels):
        for channel in range(images.shape[3]):
            plane = images[index, :, :, channel].astype(np.float64)
            blurred[index, :, :, channel] = ndimage.convolve(plane, kernel.astype(np.float64), mode="mirror")
    return blurred


# Kernels above 11 pixels go another way inside OpenCV (by spectrum).
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 8, 9, 13, 14, 27, 28])
@pytest.mark.parametrize("shape", [(3, 24, 31, 3), (2, 9, 16, 1), (2, 1, 5, 3)])
def test_equals_scipy(shape, kernel_size):
    images, kernels = samples(shape, kernel_size)
    np.testing.assert_allclose(host_blur.blur(images, kernels), reference(images, kernels), rtol=0, atol=3e-6)


def test_bytes_are_rounded_to_nearest():
    images, kernels = samples((3, 40, 50, 3), 15)
    images = (255 * images).astype(np.uint8)
    blurred = host_blur.blur(images, kernels)
    assert blurred.dtype == np.uint8
    assert np.abs(blurred - reference(images, kernels)).max() < 0.501


def test_equals_the_graph():
    from keras import ops

    from deblur_zoo.blur.convolution import blur

    images, _ = samples((4, 48, 40, 3), 3)
    bank = make_bank("trajectory", 4)
    in_graph = ops.convert_to_numpy(blur(images, bank.kernels))
    np.testing.assert_allclose(host_blur.blur(images, bank.kernels), in_graph, atol=3e-6)
    # A kernel with and without its padding, even sizes too.
    bank = make_bank("gaussian_process", 4, (8, 9, 20, 13))
    unpadded = host_blur.blur(images, [bank.kernel(index) for index in range(4)])
    np.testing.assert_allclose(unpadded, host_blur.blur(images, bank.kernels), atol=3e-6)


def test_threads_change_nothing():
    images, kernels = samples((9, 30, 30, 3), 13)
    single = host_blur.blur(images, kernels, threads=1)
    for threads in (2, 16, None):
        np.testing.assert_array_equal(host_blur.blur(images, kernels, threads), single)


@pytest.mark.parametrize(
    "arguments, error, sentence",
    [
        ((np.zeros((2, 8, 8, 3), np.float64), np.ones((2, 3, 3))), TypeError, "float64"),
        ((np.zeros((8, 8, 3), np.uint8), np.ones((8, 3, 3))), ValueError, r"\(N, H, W, C\)"),
        ((np.zeros((2, 8, 8, 3), np.uint8), np.ones((3, 3, 3))), ValueError, "2 images"),
        ((np.zeros((2, 8, 8, 3), np.uint8), np.ones((2, 3, 4))), ValueError, r"\(K, K\)"),
        ((np.zeros((2, 8, 8, 3), np.uint8), np.ones((2, 3, 3)), 0), ValueError, "at least 1"),
    ],
)
def test_bad_blur(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        host_blur.blur(*arguments)


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_jpeg_equals_pillow(quality):
    """An independent encoder and decoder; 4:2:0 subsampling and the standard tables are common to both."""
    image = data.astronaut()[:201, :203]
    file = io.BytesIO()
    Image.fromarray(image).save(file, "jpeg", quality=quality, subsampling=2)
    expected = np.asarray(Image.open(file)).astype(int)
    ours = host_blur.jpeg(image, quality)
    assert ours.dtype == np.uint8 and ours.shape == image.shape
    # Decoders may differ in the last bits of upsampled colour.
    assert np.abs(ours - expected).mean() < 0.2 and np.abs(ours - expected).max() <= 8
    assert np.abs(ours.astype(int) - image).mean() > 0.3  # it is a lossy picture


def test_jpeg_of_floats_and_grey():
    image = data.astronaut()[:64, :80]
    as_bytes = host_blur.jpeg(image, 60)
    as_floats = host_blur.jpeg(image.astype(np.float32) / 255, 60)
    assert as_floats.dtype == np.float32
    np.testing.assert_allclose(as_floats * 255, as_bytes, atol=1e-4)
    # Out of range is clipped, not wrapped.
    assert host_blur.jpeg(np.full((16, 16, 3), 1.2, np.float32), 95).min() == 1
    assert host_blur.jpeg(np.full((16, 16), -0.2, np.float32), 95).max() == 0
    assert host_blur.jpeg(image[..., 0], 60).shape == (64, 80)


@pytest.mark.parametrize(
    "image, quality, error, sentence",
    [
        (np.zeros((8, 8, 3)), 50, TypeError, "uint8 or float32"),
        (np.zeros((8, 8, 4), np.uint8), 50, ValueError, r"\(H, W, 3\)"),
        (np.zeros((0, 8, 3), np.uint8), 50, ValueError, r"\(H, W, 3\)"),
        (np.zeros((8, 8, 3), np.uint8), 0, ValueError, "1 to 100"),
        (np.zeros((8, 8, 3), np.uint8), 101, ValueError, "1 to 100"),
    ],
)
def test_bad_jpeg(image, quality, error, sentence):
    with pytest.raises(error, match=sentence):
        host_blur.jpeg(image, quality)
