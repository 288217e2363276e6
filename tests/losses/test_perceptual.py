import numpy as np
import pytest
from keras import ops

from deblur_zoo.losses import perceptual

# Two images; a layer of 1x2x1 and one of two features. Differences: (1, -3) and (2, 0); (0.5, 0.5) and (0, -4).
TRUTH = {"pool2": np.zeros((2, 1, 2, 1), "float32"), "fc": np.ones((2, 2), "float32")}
ESTIMATE = {
    "fc": np.array([[1.5, 1.5], [1.0, -3.0]], "float32"),
    "pool2": np.array([[1.0, -3.0], [2.0, 0.0]], "float32").reshape(2, 1, 2, 1),
}


def value(loss):
    assert loss.dtype == "float32"
    return ops.convert_to_numpy(loss)


@pytest.mark.parametrize(
    "loss,weights,expected",
    [
        (perceptual.l1, None, [2.5, 3.0]),  # 4/2 + 1/2, 2/2 + 4/2
        (perceptual.l2, None, [5.25, 10.0]),  # 10/2 + 0.5/2, 4/2 + 16/2
        (perceptual.l1, {"pool2": 2.0, "fc": 0.5}, [4.25, 3.0]),  # 2 * 2 + 0.5 * 0.5, 2 * 1 + 0.5 * 2
        (perceptual.l2, {"pool2": 0.0, "fc": 1.0}, [0.25, 8.0]),
    ],
)
def test_worked_by_hand(loss, weights, expected):
    np.testing.assert_allclose(value(loss(TRUTH, ESTIMATE, weights)), expected, rtol=1e-6)


def test_names_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"estimate's activations .*\['fc'\]"):
        perceptual.l1(TRUTH, {"fc": ESTIMATE["fc"]})
    with pytest.raises(ValueError, match=r"weights .*\['fc', 'pool3'\]"):
        perceptual.l1(TRUTH, ESTIMATE, {"fc": 1.0, "pool3": 1.0})
    with pytest.raises(ValueError, match="one layer"):
        perceptual.l1({}, {})
    with pytest.raises(ValueError, match=r"weights .*\[\]"):
        perceptual.l1(TRUTH, ESTIMATE, {})


def test_half_precision_is_computed_in_float32():
    # Activations of 300: a square is 90,000, more than float16 holds.
    truth = {"pool5": np.full((1, 4, 4, 8), -100, "float16")}
    estimate = {"pool5": np.full((1, 4, 4, 8), 200, "float16")}
    np.testing.assert_allclose(value(perceptual.l2(truth, estimate)), [90000.0], rtol=1e-6)
    np.testing.assert_allclose(value(perceptual.l1(truth, estimate)), [300.0], rtol=1e-6)


@pytest.mark.parametrize("loss", [perceptual.l1, perceptual.l2])
def test_gradient_is_zero_where_the_activations_are_equal(loss, gradients):
    ones = np.ones((1, 2, 2, 3), "float32")
    np.testing.assert_array_equal(gradients(lambda x: loss({"a": ones}, {"a": x}), ones)[0], 0)


def test_gradient_has_each_layers_weight(gradients):
    # Sign of the difference, over the layer's two values, times its weight.
    of_fc, of_pool = gradients(
        lambda fc, pool: perceptual.l1(TRUTH, {"fc": fc, "pool2": pool}, {"fc": 4.0, "pool2": 0.5}),
        *(ESTIMATE["fc"], ESTIMATE["pool2"]),
    )
    np.testing.assert_allclose(of_fc, [[2, 2], [0, -2]])
    np.testing.assert_allclose(of_pool.reshape(2, 2), [[0.25, -0.25], [0.25, 0]])
