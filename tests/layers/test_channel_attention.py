import numpy as np
from keras import layers, ops

from deblur_zoo.layers.channel_attention import channel_attention


def test_worked_by_hand():
    features = np.array([[[[1.0, 0.0]], [[3.0, 4.0]]]], "float32")
    gains = layers.Dense(2, kernel_initializer="zeros")
    np.testing.assert_array_equal(ops.convert_to_numpy(channel_attention(features, gains)), features)
    # Means 2 and 2: z = 2 - 2 + 1 = 1 and 2 * 2 = 4.
    gains.set_weights([np.array([[1.0, 2.0], [-1.0, 0.0]]), np.array([1.0, 0.0])])
    expected = features * [1 + 2 * np.tanh(0.5), 1 + 2 * np.tanh(2.0)]
    np.testing.assert_allclose(ops.convert_to_numpy(channel_attention(features, gains)), expected, rtol=1e-6)


def test_means_are_of_each_image_and_in_float32():
    gains = layers.Dense(1, kernel_initializer="ones")
    features = ops.cast(np.stack([np.full((64, 64, 1), 0.01), np.zeros((64, 64, 1))]), "bfloat16")
    result = channel_attention(features, gains)
    assert result.dtype == features.dtype
    # A sum of 4,096 values of 0.01 in bfloat16 would stop growing at about 4; in float32 the gain is 1.01.
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(result, "float32"))[0], 0.0101, rtol=0.01)
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.cast(result, "float32"))[1], 0)
