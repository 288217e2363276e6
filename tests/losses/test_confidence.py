import numpy as np
from keras import ops

from deblur_zoo.losses import confidence

# One image of 1x2 pixels and two channels; absolute differences (0.4, 0) and (0.2, 0.6).
TRUTH = np.zeros((1, 1, 2, 2), "float32")
ESTIMATE = np.array([0.4, 0.0, -0.2, 0.6], "float32").reshape(1, 1, 2, 2)
# Class 0: the left pixel; class 1: half of the right one; class 2: empty.
MASKS = np.array([[1, 0, 0], [0, 0.5, 0]], "float32").reshape(1, 1, 2, 3)


def value(loss):
    assert loss.dtype == "float32"
    return ops.convert_to_numpy(loss)


def test_one_confidence_a_class():
    # L over 4 values: 0.4 / 4 = 0.1, (0.1 + 0.3) / 4 = 0.1 and 0. C: 0.5, 0.25, 1.
    # 0.05 + 0.025 + 0 - 0.01 (log 0.5 + log 0.25 + log 1)
    loss = confidence.confidence_guided(TRUTH, ESTIMATE, MASKS, np.array([[0.5, 0.25, 1.0]], "float32"))
    np.testing.assert_allclose(value(loss), [0.075 + 0.03 * np.log(2)], rtol=1e-6)


def test_one_confidence_a_class_and_channel():
    # Class 0 by channel over 2 pixels: 0.2 and 0; class 1: 0.05 and 0.15; class 2: 0 and 0.
    # Class 0: (0.5 * 0.2 + 1 * 0) / 2 = 0.05; class 1: (1 * 0.05 + 0.5 * 0.15) / 2 = 0.0625.
    # Logarithms: log(0.5) / 2 twice; lambda 0.1.
    confidences = np.array([[[0.5, 1.0], [1.0, 0.5], [1.0, 1.0]]], "float32")
    loss = confidence.confidence_guided(TRUTH, ESTIMATE, MASKS, confidences, weight=0.1)
    np.testing.assert_allclose(value(loss), [0.1125 + 0.1 * np.log(2)], rtol=1e-6)


def test_images_are_apart():
    truth, estimate, masks = (np.repeat(array, 2, axis=0) for array in (TRUTH, ESTIMATE, MASKS))
    estimate[1] = 0
    confidences = np.array([[1.0, 1.0, 1.0], [1.0, 0.5, 1.0]], "float32")
    loss = confidence.confidence_guided(truth, estimate, masks, confidences)
    np.testing.assert_allclose(value(loss), [0.2, 0.01 * np.log(2)], rtol=1e-6)


def test_a_confidence_of_zero_costs_a_finite_amount():
    # Three classes of -0.01 log(1e-6).
    loss = confidence.confidence_guided(TRUTH, ESTIMATE, MASKS, np.zeros((1, 3), "float32"))
    np.testing.assert_allclose(value(loss), [0.03 * np.log(1e6)], rtol=1e-6)


def test_empty_masks_leave_the_logarithm():
    loss = confidence.confidence_guided(TRUTH, ESTIMATE, np.zeros_like(MASKS), np.full((1, 3), 0.5, "float32"))
    np.testing.assert_allclose(value(loss), [0.03 * np.log(2)], rtol=1e-6)


def test_half_precision_is_computed_in_float32():
    # A float16 holds no 1e-8 (the confidence becomes 0) and no sum of 300 * 300 ones.
    truth = np.zeros((1, 300, 300, 1), "float16")
    confidences = np.array([[0.5, 1e-8]], "float16")
    loss = confidence.confidence_guided(truth, truth + 1, np.ones((1, 300, 300, 2), "float16"), confidences)
    np.testing.assert_allclose(value(loss), [0.5 - 0.01 * np.log(0.5e-6)], rtol=1e-5)


def test_gradients(gradients):
    of_estimate, of_masks, of_confidences = gradients(
        lambda estimate, masks, confidences: confidence.confidence_guided(TRUTH, estimate, masks, confidences),
        *(ESTIMATE, MASKS, [[0.0, 1e-4, 0.5]]),
    )
    # L - lambda / C: below the smallest confidence the logarithm no longer pulls.
    np.testing.assert_allclose(of_confidences, [[0.1, 0.1 - 100.0, -0.02]], rtol=1e-5)
    # The right pixel, half in class 1 of confidence 1e-4, and the left one in class 0 of confidence 0.
    np.testing.assert_allclose(of_estimate.ravel(), [0, 0, -1e-4 / 8, 1e-4 / 8], rtol=1e-5)
    # C_i |difference| summed over channels, over 4 values.
    np.testing.assert_allclose(of_masks.reshape(2, 3), [[0, 1e-5, 0.05], [0, 2e-5, 0.1]], rtol=1e-5)


def test_gradients_are_finite_with_empty_masks_and_no_confidence(gradients):
    for loss_gradients in gradients(
        lambda estimate, masks, confidences: confidence.confidence_guided(estimate, TRUTH, masks, confidences),
        *(TRUTH, np.zeros_like(MASKS), np.zeros((1, 3))),
    ):
        np.testing.assert_array_equal(loss_gradients, 0)
