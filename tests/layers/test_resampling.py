import numpy as np
import pytest
from keras import layers, ops
from scipy import ndimage

from deblur_zoo.layers.resampling import convolve_doubled, double, halve


def test_halve_equals_opencv():
    cv2 = pytest.importorskip("cv2")
    images = np.random.default_rng(0).uniform(size=(2, 6, 10, 3)).astype("float32")
    expected = [cv2.resize(image, (5, 3), interpolation=cv2.INTER_AREA) for image in images]
    np.testing.assert_allclose(ops.convert_to_numpy(halve(images)), expected, atol=1e-6)


@pytest.mark.parametrize("use_bias", [False, True])
def test_doubled_convolution_is_a_plain_one_of_doubled_features(use_bias):
    generator = np.random.default_rng(4)
    features = generator.standard_normal((2, 5, 3, 4)).astype(np.float32)
    layer = layers.Conv2D(6, 3, padding="same", use_bias=use_bias)
    layer.build(features.shape)
    for weight in layer.weights:
        weight.assign(generator.standard_normal(weight.shape))
    found = ops.convert_to_numpy(convolve_doubled(layer, ops.convert_to_tensor(features)))
    doubled = features.repeat(2, axis=1).repeat(2, axis=2)
    kernel = ops.convert_to_numpy(layer.kernel)
    # SciPy's correlation, channel by channel, zeros outside.
    expected = np.zeros((2, 10, 6, 6))
    for n, i, f in np.ndindex(2, 4, 6):
        expected[n, :, :, f] += ndimage.correlate(doubled[n, :, :, i], kernel[:, :, i, f], mode="constant")
    if use_bias:
        expected += ops.convert_to_numpy(layer.bias)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_double_by_hand():
    features = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
    found = ops.convert_to_numpy(double(features))[0, :, :, 0]
    np.testing.assert_array_equal(
        found, [[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5], [3, 3, 4, 4, 5, 5]]
    )
