import numpy as np
from keras import ops

from deblur_zoo.losses import parsing

# Image 0: pixels of class 0, 1 and unknown. Image 1: nothing known.
TRUTH = np.array([[[0, 1, 255]], [[255, 255, 255]]], "uint8")
PROBABILITIES = np.array([[[[0.5, 0.5], [0.75, 0.25], [0.1, 0.9]]], [[[0.5, 0.5]] * 3]], "float32")
# -(log 0.5 + log 0.25) / 2 = (1 + 2) log(2) / 2; the unknown pixel is in neither sum nor count.
EXPECTED = [1.5 * np.log(2), 0.0]


def value(loss):
    assert loss.dtype == "float32"
    return ops.convert_to_numpy(loss)


def test_probabilities():
    np.testing.assert_allclose(value(parsing.cross_entropy(TRUTH, PROBABILITIES)), EXPECTED, rtol=1e-5)


def test_logits():
    # Any shift of a pixel's logits gives the same probabilities.
    logits = np.log(PROBABILITIES) + 3.0
    np.testing.assert_allclose(value(parsing.cross_entropy(TRUTH, logits, from_logits=True)), EXPECTED, rtol=1e-5)


def test_a_sure_and_right_estimate_costs_nothing():
    probabilities = np.array([[[[1.0, 0.0], [0.0, 1.0]]]], "float32")
    labels = np.array([[[0, 1]]])
    np.testing.assert_array_equal(value(parsing.cross_entropy(labels, probabilities)), [0.0])


def test_what_an_unknown_pixel_holds_does_not_matter():
    other = PROBABILITIES.copy()
    other[0, 0, 2] = [1.0, 0.0]
    np.testing.assert_array_equal(
        value(parsing.cross_entropy(TRUTH, other)), value(parsing.cross_entropy(TRUTH, PROBABILITIES))
    )


def test_half_precision_is_computed_in_float32():
    # A float16 sum of 300 * 300 terms near 1.2 would overflow; a float16 probability of 0 costs log(1e7) = 16.118.
    probabilities = np.full((1, 300, 300, 3), 0.3, "float16")
    labels = np.zeros((1, 300, 300), "int32")
    exact = -np.log(float(np.float16(0.3)))
    np.testing.assert_allclose(value(parsing.cross_entropy(labels, probabilities)), [exact], rtol=1e-5)
    probabilities[...] = 0
    np.testing.assert_allclose(value(parsing.cross_entropy(labels, probabilities)), [np.log(1e7)], rtol=1e-5)


def test_gradient_is_finite_and_pulls_where_the_probability_is_zero(gradients):
    labels = np.array([[[0]], [[255]]])
    (gradient,) = gradients(lambda x: parsing.cross_entropy(labels, x), [[[[0.0, 1.0]]], [[[0.3, 0.7]]]])
    assert np.all(np.isfinite(gradient))
    assert gradient[0, 0, 0, 0] < -1e6
    np.testing.assert_array_equal(gradient[1], 0)


def test_gradient_of_extreme_logits_is_probability_minus_truth(gradients):
    labels = np.array([[[0]]])
    (gradient,) = gradients(lambda x: parsing.cross_entropy(labels, x, from_logits=True), [[[[-1e4, 1e4]]]])
    np.testing.assert_allclose(gradient[0, 0, 0], [-1.0, 1.0], atol=1e-6)


def test_logits_of_an_image_without_a_known_pixel_do_not_move(gradients):
    labels = np.full((1, 1, 2), 255, "uint8")
    (gradient,) = gradients(lambda x: parsing.cross_entropy(labels, x, from_logits=True), [[[[-1e4, 1e4], [0.0, 3.0]]]])
    np.testing.assert_array_equal(gradient, 0)
