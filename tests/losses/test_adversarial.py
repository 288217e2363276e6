import numpy as np
import pytest
from keras import ops

from deblur_zoo.losses import adversarial

# Two images of two patches. Probabilities: truth (1/2, 3/4) and (1/4, 1/4), estimate (1/2, 1/4) and (1/5, 1/2).
TRUTH = np.log(np.array([[1.0, 3.0], [1 / 3, 1 / 3]], "float32")).reshape(2, 1, 2, 1)
ESTIMATE = np.log(np.array([[1.0, 1 / 3], [1 / 4, 1.0]], "float32")).reshape(2, 1, 2, 1)


def value(loss):
    assert loss.dtype == "float32"
    return ops.convert_to_numpy(loss)


def test_sigmoid_discriminator():
    # Means of -log D(truth) and of -log(1 - D(estimate)): 1/2, 3/4 and 1/2, 3/4; then 1/4, 1/4 and 4/5, 1/2.
    expected = [-(np.log(0.5 * 0.75) + np.log(0.5 * 0.75)) / 2, -(np.log(0.25 * 0.25) + np.log(0.8 * 0.5)) / 2]
    np.testing.assert_allclose(value(adversarial.sigmoid_discriminator(TRUTH, ESTIMATE)), expected, rtol=1e-6)


def test_sigmoid_generator():
    # Means of -log D(estimate): 1/2 and 1/4; 1/5 and 1/2.
    expected = [-np.log(0.125) / 2, -np.log(0.1) / 2]
    np.testing.assert_allclose(value(adversarial.sigmoid_generator(TRUTH, ESTIMATE)), expected, rtol=1e-6)


def test_wasserstein_pair():
    truth = np.array([[1.0], [-2.0]], "float32")
    estimate = np.array([[0.5], [3.0]], "float32")
    np.testing.assert_allclose(value(adversarial.wasserstein_critic(truth, estimate)), [-0.5, 5.0])
    np.testing.assert_allclose(value(adversarial.wasserstein_generator(truth, estimate)), [-0.5, -3.0])
    # A map of patches is averaged: (1 + 3) / 2 - (0 + 1) / 2.
    patches = adversarial.wasserstein_critic(
        np.array([0.0, 1.0], "float32").reshape(1, 1, 2, 1), np.array([1.0, 3.0], "float32").reshape(1, 1, 2, 1)
    )
    np.testing.assert_allclose(value(patches), [1.5])


def test_one_logit_an_image_may_come_without_an_axis():
    np.testing.assert_allclose(
        value(adversarial.sigmoid_generator(None, np.zeros(3, "float32"))), np.full(3, np.log(2)), rtol=1e-6
    )


def test_between_has_one_share_an_image():
    truth, estimate = np.zeros((3, 1, 2, 1), "float32"), np.full((3, 1, 2, 1), 2.0, "float32")
    points = value(adversarial.between(truth, estimate, np.array([0.0, 0.25, 1.0], "float32")))
    np.testing.assert_allclose(points[..., 0, 0], [[0.0], [0.5], [2.0]])
    np.testing.assert_allclose(points[..., 1, 0], [[0.0], [0.5], [2.0]])


def test_gradient_penalty():
    # Norms 5, 1 and 0: (5 - 1)^2, 0, (1e-6 - 1)^2.
    gradients = np.array([[3.0, -4.0], [0.6, 0.8], [0.0, 0.0]], "float32").reshape(3, 1, 2, 1)
    penalty = value(adversarial.gradient_penalty(gradients))
    np.testing.assert_allclose(penalty, [16.0, 0.0, 1.0], rtol=1e-5, atol=1e-6)


def test_half_precision_is_computed_in_float32():
    # The sum of 400 squares of 20 is 160,000, more than float16 holds: (400 - 1)^2.
    gradients = np.full((1, 10, 10, 4), 20, "float16")
    np.testing.assert_allclose(value(adversarial.gradient_penalty(gradients)), [399.0**2], rtol=1e-5)
    # 9 and -9 are softplus(-9) = 1.2340e-4 twice; 1e-4 has 4 % steps of rounding in a float16 1 + exp(-9).
    loss = adversarial.sigmoid_discriminator(np.array([[9.0]], "float16"), np.array([[-9.0]], "float16"))
    np.testing.assert_allclose(value(loss), [2 * np.log1p(np.exp(-9))], rtol=1e-5)
    scores = np.array([[40000.0]], "float16")
    np.testing.assert_allclose(value(adversarial.wasserstein_critic(-scores, scores)), [80000.0], rtol=1e-6)


def test_losses_and_gradients_are_finite_for_sure_discriminators(gradients):
    truth, estimate = np.array([[1e4], [-1e4]], "float32"), np.array([[-1e4], [1e4]], "float32")
    # Right and sure costs 0; wrong and sure costs 1e4 twice, with slopes of 1.
    np.testing.assert_allclose(value(adversarial.sigmoid_discriminator(truth, estimate)), [0.0, 2e4])
    np.testing.assert_allclose(value(adversarial.sigmoid_generator(truth, estimate)), [1e4, 0.0])
    of_truth, of_estimate = gradients(adversarial.sigmoid_discriminator, truth, estimate)
    np.testing.assert_allclose(of_truth, [[0.0], [-1.0]], atol=1e-6)
    np.testing.assert_allclose(of_estimate, [[0.0], [1.0]], atol=1e-6)
    of_truth, of_estimate = gradients(adversarial.sigmoid_generator, truth, estimate)
    np.testing.assert_array_equal(of_truth, 0)
    np.testing.assert_allclose(of_estimate, [[-1.0], [0.0]], atol=1e-6)


def test_gradients_of_the_wasserstein_pair(gradients):
    # One of two images, each a map of two patches: a slope of 1/2 each, whatever the scores are.
    truth, estimate = np.full((2, 1, 2, 1), 7.0), np.full((2, 1, 2, 1), -3.0)
    of_truth, of_estimate = gradients(adversarial.wasserstein_critic, truth, estimate)
    np.testing.assert_allclose(of_truth, np.full((2, 1, 2, 1), -0.5))
    np.testing.assert_allclose(of_estimate, np.full((2, 1, 2, 1), 0.5))
    np.testing.assert_allclose(gradients(adversarial.wasserstein_generator, truth, estimate)[1], -of_estimate)


def test_a_conditional_pair_is_a_discriminator_of_two_images(gradients):
    # A discriminator that sees condition and image side by side in channels: logit = mean(3 condition - image).
    condition, truth, estimate = (np.full((1, 2, 2, 1), number, "float32") for number in (0.5, 1.5, 0.25))

    def discriminator(image):
        return ops.mean(ops.concatenate([condition, image], axis=-1) * np.array([3.0, -1.0], "float32") * 2, (1, 2, 3))

    def loss(image):
        return adversarial.sigmoid_discriminator(discriminator(truth), discriminator(image))

    # Logits 0 and 1.25: log 2 + log(1 + e^1.25); slope sigmoid(1.25) times -1/4 a pixel.
    np.testing.assert_allclose(value(loss(estimate)), [np.log(2) + np.log1p(np.exp(1.25))], rtol=1e-6)
    np.testing.assert_allclose(gradients(loss, estimate)[0], np.full((1, 2, 2, 1), -0.25 / (1 + np.exp(-1.25))), 1e-5)


def test_gradient_of_the_penalty_is_finite_at_zero(gradients):
    np.testing.assert_array_equal(gradients(adversarial.gradient_penalty, np.zeros((1, 2, 2, 3)))[0], 0)


@pytest.mark.parametrize("start,slope", [([3.0, 4.0], [4.8, 6.4]), ([0.0, 0.0], [0.0, 0.0])])
def test_penalty_trains_a_critic_through_the_gradient_of_its_gradient(start, slope, gradients, gradient_tensors):
    # A linear critic w . x has the gradient w at every point: penalty (|w| - 1)^2, slope 2 (|w| - 1) w / |w|.
    # With w = (3, 4): slope 8 * (0.6, 0.8). With w = 0 it must be finite.
    images = np.random.default_rng(0).random((1, 1, 1, 2)).astype("float32")

    def penalty(weights):
        (of_images,) = gradient_tensors(lambda x: ops.sum(x * weights, axis=(1, 2, 3)), images)
        return adversarial.gradient_penalty(of_images)

    np.testing.assert_allclose(gradients(penalty, start)[0], slope, rtol=1e-5)
