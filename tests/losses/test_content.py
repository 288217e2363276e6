import numpy as np
import pytest
from keras import ops

from deblur_zoo.losses import content, identity

# Two 1x2 images of one channel.
TRUTH = np.array([[[[0.0], [1.0]]], [[[0.5], [0.5]]]], "float32")
ESTIMATE = np.array([[[[0.5], [1.0]]], [[[0.5], [0.25]]]], "float32")


@pytest.mark.parametrize(
    "loss,expected",
    [
        (content.l1, [0.25, 0.125]),  # (0.5 + 0) / 2, (0 + 0.25) / 2
        (content.l2, [0.125, 0.03125]),  # 0.25 / 2, 0.0625 / 2
        (content.total_variation, [0.125, 0.03125]),  # neighbours differ by 0.5 and 0.25: squares over 2 pixels
    ],
)
def test_worked_by_hand(loss, expected):
    np.testing.assert_allclose(ops.convert_to_numpy(loss(TRUTH, ESTIMATE)), expected, rtol=1e-6)


def test_negative_psnr_by_hand():
    # 10 log10 of 0.125 + 1e-4, of 0.03125 + 1e-4, and of 1e-4 where nothing differs.
    found = ops.convert_to_numpy(content.negative_psnr(TRUTH, ESTIMATE))
    np.testing.assert_allclose(found, [-9.0274, -15.0376], atol=1e-4)
    np.testing.assert_allclose(ops.convert_to_numpy(content.negative_psnr(TRUTH, TRUTH)), [-40, -40], atol=1e-3)


def test_total_variation_of_a_2x2_image():
    # Horizontal differences 1 and 2, vertical 3 and 4: 1 + 4 + 9 + 16 = 30 over 4 pixels.
    image = np.array([[0.0, 1.0], [3.0, 5.0]], "float32")[None, :, :, None]
    assert float(content.total_variation(image, image)[0]) == pytest.approx(7.5)


def test_total_variation_of_one_pixel_is_zero():
    image = np.full((1, 1, 1, 3), 0.7, "float32")
    assert float(content.total_variation(image, image)[0]) == 0.0


@pytest.mark.parametrize("loss", [content.l1, content.l2, content.negative_psnr, content.total_variation])
def test_half_precision_input_is_summed_in_float32(loss):
    # 128x128 terms of 0.01: a float16 sum would be off by several percent.
    rng = np.random.default_rng(0)
    truth, estimate = rng.uniform(size=(2, 2, 128, 128, 3)).astype("float16")
    exact = loss(truth.astype("float64"), estimate.astype("float64"))
    value = ops.convert_to_numpy(loss(truth, estimate))
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, ops.convert_to_numpy(exact), rtol=1e-4)


def test_facial_is_the_euclidean_distance():
    truth = np.array([[3.0, 4.0], [1.0, 1.0]], "float32")
    estimate = np.array([[0.0, 0.0], [1.0, 1.0]], "float32")
    # The square root's epsilon of 1e-12 leaves 1e-6 where the vectors are equal.
    np.testing.assert_allclose(ops.convert_to_numpy(identity.facial(truth, estimate)), [5.0, 1e-6], rtol=1e-5)


def test_facial_gradient_is_finite_where_the_features_are_equal(gradients):
    np.testing.assert_array_equal(gradients(identity.facial, np.ones((1, 4)), np.ones((1, 4))), np.zeros((2, 1, 4)))


@pytest.mark.parametrize(
    "loss,expected",
    [
        (content.l1, [0.5, 0, 0, -0.5]),  # sign of the difference over 2 pixels
        (content.l2, [0.5, 0, 0, -0.25]),  # twice the difference, 0.5 and -0.25, over 2 pixels
        (content.total_variation, [-0.5, 0.5, 0.25, -0.25]),  # twice the step, 0.5 and -0.25, over 2 pixels
    ],
)
def test_gradients_worked_by_hand(loss, expected, gradients):
    np.testing.assert_allclose(gradients(lambda x: loss(TRUTH, x), ESTIMATE)[0].ravel(), expected, atol=1e-6)
