import numpy as np
import pytest
from keras import ops

from deblur_zoo.losses import structural

# One image of 1x4 pixels and one channel. Differences from the truth: 0.4, 0.2, 0.1, 0.8.
TRUTH = np.zeros((1, 1, 4, 1), "float32")
ESTIMATE = np.array([0.4, -0.2, 0.1, 0.8], "float32").reshape(1, 1, 4, 1)
# Component 0: pixel 0 (size 1). Component 1: pixels 1 and 2 (size 2). Component 2: absent. Pixel 3 is in none.
MASKS = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]], "float32").reshape(1, 1, 4, 3)


def value(loss):
    assert loss.dtype == "float32"
    return ops.convert_to_numpy(loss)


def test_component_masks_are_the_eight_labels_in_order():
    labels = np.array([[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]]], "uint8")
    masks = value(structural.component_masks(labels))
    expected = np.zeros((12, 8))
    expected[2:10] = np.eye(8)
    np.testing.assert_array_equal(masks[0, 0], expected)


def test_equal_weights():
    # (0.4 + 0.2 + 0.1) over all 4 pixels.
    np.testing.assert_allclose(value(structural.equal_structural(TRUTH, ESTIMATE, MASKS)), [0.175], rtol=1e-6)


def test_adaptive_weights_with_the_chosen_constant():
    # Sizes 1 and 2, two components present: c = 3 / 2, weights 1.5 and 0.75.
    # 1.5 * 0.4 + 0.75 * (0.2 + 0.1) = 0.825 over 4 pixels. Counting the absent third component gives c = 1.
    np.testing.assert_allclose(value(structural.adaptive_structural(TRUTH, ESTIMATE, MASKS)), [0.20625], rtol=1e-6)


def test_adaptive_weights_with_a_given_constant():
    # c = 4: weights 4 and 2: (4 * 0.4 + 2 * 0.3) / 4.
    loss = structural.adaptive_structural(TRUTH, ESTIMATE, MASKS, constant=4.0)
    np.testing.assert_allclose(value(loss), [0.55], rtol=1e-6)


def test_a_component_below_the_minimum_size_is_absent():
    # Only the component of size 2 is left: c = 2, weight 1: 0.3 / 4.
    loss = structural.adaptive_structural(TRUTH, ESTIMATE, MASKS, minimum_size=1.0)
    np.testing.assert_allclose(value(loss), [0.075], rtol=1e-6)


def test_each_image_has_its_own_weights_and_channels_are_averaged():
    # Image 0 as above, with a second channel of no difference: half of 0.20625.
    # Image 1: both components of size 1 (pixels 0 and 3): c = 1, weights 1: (0.4 + 0.8) / 8.
    truth = np.zeros((2, 1, 4, 2), "float32")
    estimate = np.zeros((2, 1, 4, 2), "float32")
    estimate[..., 0] = ESTIMATE[..., 0]
    masks = np.zeros((2, 1, 4, 3), "float32")
    masks[0] = MASKS[0]
    masks[1, 0, 0, 0] = masks[1, 0, 3, 1] = 1
    np.testing.assert_allclose(
        value(structural.adaptive_structural(truth, estimate, masks)), [0.103125, 0.15], rtol=1e-6
    )


def test_soft_masks_weigh_their_pixels():
    # One component of 0.5 and 0.25: size 0.75, c = 0.75, weight 1: (0.5 * 0.4 + 0.25 * 0.2) / 4.
    masks = np.array([0.5, 0.25, 0, 0], "float32").reshape(1, 1, 4, 1)
    np.testing.assert_allclose(value(structural.adaptive_structural(TRUTH, ESTIMATE, masks)), [0.0625], rtol=1e-6)


@pytest.mark.parametrize("loss", [structural.equal_structural, structural.adaptive_structural])
def test_no_component_costs_nothing(loss):
    np.testing.assert_array_equal(value(loss(TRUTH, ESTIMATE, np.zeros_like(MASKS))), [0.0])


@pytest.mark.parametrize("loss", [structural.equal_structural, structural.adaptive_structural])
def test_half_precision_is_computed_in_float32(loss):
    # The first component's 128 * 512 = 65,536 pixels are more than float16 holds (65,504).
    rng = np.random.default_rng(0)
    truth, estimate = rng.uniform(size=(2, 1, 256, 512, 3)).astype("float16")
    masks = np.zeros((1, 256, 512, 2), "float16")
    masks[:, :128, :, 0] = masks[:, 200:203, :50, 1] = 1
    exact = np.abs(truth.astype("float64") - estimate)
    weights = masks.astype("float64")
    if loss is structural.adaptive_structural:
        weights = weights * (65536 + 150) / 2 / np.array([65536, 150])
    expected = np.mean(weights.sum(-1, keepdims=True) * exact)
    np.testing.assert_allclose(value(loss(truth, estimate, masks)), [expected], rtol=1e-5)


def test_gradients_with_an_absent_component(gradients):
    (of_estimate,) = gradients(lambda x: structural.adaptive_structural(TRUTH, x, MASKS), ESTIMATE)
    # Weights 1.5 and 0.75 times the sign of the difference, over 4 pixels; the last pixel is in no component.
    np.testing.assert_allclose(of_estimate.ravel(), [0.375, -0.1875, 0.1875, 0], rtol=1e-6)


@pytest.mark.parametrize("masks", [MASKS, np.zeros_like(MASKS)])
@pytest.mark.parametrize("loss", [structural.equal_structural, structural.adaptive_structural])
def test_gradients_are_finite_with_absent_components(loss, masks, gradients):
    of_estimate, of_masks = gradients(lambda estimate, masks: loss(TRUTH, estimate, masks), ESTIMATE, masks)
    assert np.all(np.isfinite(of_estimate)) and np.all(np.isfinite(of_masks))
    if not masks.any():
        np.testing.assert_array_equal(of_estimate, 0)
