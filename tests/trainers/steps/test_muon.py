import keras
import numpy as np
import pytest
from keras import ops

from trainers.steps.muon import COEFFICIENTS, Muon, orthogonalize


def expected_orthogonal(matrix, iterations):
    """The same polynomial on the singular values, in float64 with LAPACK's decomposition."""
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    values = values / np.linalg.norm(matrix)
    a, b, c = COEFFICIENTS
    for _ in range(iterations):
        values = a * values + b * values**3 + c * values**5
    return left @ np.diag(values) @ right, values


@pytest.mark.parametrize("shape", [(108, 24), (24, 108), (16, 16)])
def test_singular_values_move_towards_one_and_vectors_stay(shape):
    matrix = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected, values = expected_orthogonal(matrix, 5)
    found = ops.convert_to_numpy(orthogonalize(matrix, 5))
    # Float32 through five squarings; a wrong transpose or coefficient is off by 0.01 and more.
    np.testing.assert_allclose(found, expected, atol=2e-4)
    if shape != (16, 16):
        # Gaussian matrices that are not square have no singular value near zero.
        assert 0.6 < values.min() and values.max() < 1.3


def test_zero_stays_zero():
    assert np.all(ops.convert_to_numpy(orthogonalize(np.zeros((9, 8), np.float32))) == 0)


def test_two_steps_on_a_kernel():
    generator = np.random.default_rng(1)
    start, first, second = (generator.standard_normal((3, 3, 8, 12)).astype(np.float32) for _ in range(3))
    kernel = keras.Variable(start)
    optimizer = Muon(learning_rate=0.01, momentum=0.9)
    for gradient in (first, second):
        optimizer.apply([ops.convert_to_tensor(gradient)], [kernel])
    momenta = [first, 0.9 * first + second]
    expected = start.astype(np.float64)
    for gradient, momentum in zip((first, second), momenta, strict=True):
        update, _ = expected_orthogonal((gradient + 0.9 * momentum).reshape(72, 12), 5)
        expected -= 0.01 * 0.2 * np.sqrt(72) * update.reshape(start.shape)
    np.testing.assert_allclose(ops.convert_to_numpy(kernel), expected, atol=2e-5)


def test_the_size_of_a_kernels_gradient_does_not_matter():
    gradient = np.random.default_rng(2).standard_normal((3, 3, 8, 8)).astype(np.float32)
    results = []
    for scale in (1e-4, 1.0):
        kernel = keras.Variable(np.zeros((3, 3, 8, 8), np.float32))
        Muon(learning_rate=1.0).apply([ops.convert_to_tensor(scale * gradient)], [kernel])
        results.append(ops.convert_to_numpy(kernel))
    np.testing.assert_allclose(*results, atol=1e-4)
    # As large as Adam's steps, which are near 1 at a learning rate of 1: 0.2 on the root of the mean square.
    assert np.sqrt(np.mean(results[0] ** 2)) == pytest.approx(0.2, rel=0.2)


@pytest.mark.parametrize("shape", [(5,), (), (3, 3, 8, 1), (3, 3, 8, 3), (4, 20)])
def test_biases_and_thin_kernels_are_adams(shape):
    generator = np.random.default_rng(3)
    start = generator.standard_normal(shape).astype(np.float32)
    ours, theirs = keras.Variable(start), keras.Variable(start)
    optimizer = Muon(learning_rate=0.01)
    adam = keras.optimizers.Adam(learning_rate=0.01, beta_2=0.99)
    for _ in range(3):
        gradient = ops.convert_to_tensor(generator.standard_normal(shape).astype(np.float32))
        optimizer.apply([gradient], [ours])
        adam.apply([gradient], [theirs])
    # Keras folds the bias corrections into the rate, so epsilon stands elsewhere.
    np.testing.assert_allclose(ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs), atol=1e-5)


def test_a_recipe_names_it():
    from trainers.steps.optimizers import optimizer_of

    optimizer = optimizer_of({"class_name": "deblur_zoo>Muon", "config": {"momentum": 0.8, "global_clipnorm": 0.02}})
    assert isinstance(optimizer, Muon)
    assert optimizer.settings["momentum"] == 0.8 and optimizer.global_clipnorm == 0.02
    again = Muon.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
