import numpy as np
import pytest
from keras import ops

from deblur_zoo.losses import reconstruction


def value(loss):
    assert loss.dtype == "float32"
    return ops.convert_to_numpy(loss)


def test_gradient_loss():
    # Truth: across 1 and 2, down 3 and 4. Estimate: across -1 and 2, down 1 and 4.
    # |1 + 1| + |2 - 2| + |3 - 1| + |4 - 4| = 4 over 4 pixels. Against a flat truth: (1 + 2 + 1 + 4) / 4.
    truth = np.array([[[0, 1], [3, 5]], [[7, 7], [7, 7]]], "float32")[..., None]
    estimate = np.array([[[2, 1], [3, 5]], [[2, 1], [3, 5]]], "float32")[..., None]
    np.testing.assert_allclose(value(reconstruction.gradient(truth, estimate)), [1.0, 2.0], rtol=1e-6)


def test_gradient_loss_does_not_see_brightness_and_averages_channels():
    truth = np.zeros((2, 1, 2, 2), "float32")
    estimate = np.full((2, 1, 2, 2), 0.25, "float32")
    # One step of 0.5 in one of two channels: 0.5 / (2 pixels * 2 channels).
    estimate[1, 0, 1, 0] += 0.5
    np.testing.assert_allclose(value(reconstruction.gradient(truth, estimate)), [0.0, 0.125])


def test_gradient_loss_of_one_pixel_is_zero():
    assert value(reconstruction.gradient(np.zeros((1, 1, 1, 3)), np.ones((1, 1, 1, 3))))[0] == 0.0


@pytest.mark.parametrize("loss", [reconstruction.projection, reconstruction.reconstruction])
def test_mean_absolute_difference(loss):
    # (0.5 + 0 + 0.1 + 0.2) / 4, (1 + 1 + 0 + 2) / 4; the same numbers as features (N, F) and as images.
    truth = np.array([[0, 0, 0.1, 1], [1, 1, 1, 1]], "float32")
    estimate = np.array([[0.5, 0, 0, 0.8], [0, 2, 1, -1]], "float32")
    for shape in ((2, 4), (2, 1, 2, 2)):
        result = value(loss(truth.reshape(shape), estimate.reshape(shape)))
        np.testing.assert_allclose(result, [0.2, 1.0], rtol=1e-6)


@pytest.mark.parametrize("loss", [reconstruction.gradient, reconstruction.projection, reconstruction.reconstruction])
def test_half_precision_is_computed_in_float32(loss):
    # 2 * 300 * 300 steps of 1 are more than float16 holds. A chequered truth of 0 and 1 has its mean at 1/2.
    truth = (np.indices((300, 300)).sum(0) % 2).astype("float16")[None, :, :, None]
    expected = 2 * 299 / 300 if loss is reconstruction.gradient else 0.5
    np.testing.assert_allclose(value(loss(truth, np.zeros_like(truth))), [expected], rtol=1e-5)


@pytest.mark.parametrize("loss", [reconstruction.gradient, reconstruction.projection, reconstruction.reconstruction])
def test_gradient_is_zero_where_images_are_equal(loss, gradients):
    images = np.full((1, 3, 3, 2), 0.5, "float32")
    np.testing.assert_array_equal(gradients(lambda x: loss(images, x), images)[0], 0)


def test_slope_of_the_gradient_loss(gradients):
    # One row 0, 1, 3 against a flat truth: steps 1 and 2 over 3 pixels; the middle pixel is in one step up, one down.
    row = np.array([0, 1, 3]).reshape(1, 1, 3, 1)
    (slope,) = gradients(lambda x: reconstruction.gradient(np.zeros((1, 1, 3, 1)), x), row)
    np.testing.assert_allclose(slope.ravel(), [-1 / 3, 0, 1 / 3], rtol=1e-6, atol=1e-7)
