import numpy as np
import pytest
from keras import ops

from deblur_zoo.losses import content, structural

# Two images at two scales: 1x1 and 1x2 pixels.
TRUTHS = [np.zeros((2, 1, 1, 1), "float32"), np.zeros((2, 1, 2, 1), "float32")]
ESTIMATES = [
    np.array([0.5, 0.25], "float32").reshape(2, 1, 1, 1),
    np.array([[1.0, 0.0], [0.5, 0.5]], "float32").reshape(2, 1, 2, 1),
]


def value(loss):
    assert loss.dtype == "float32"
    return ops.convert_to_numpy(loss)


@pytest.mark.parametrize(
    "loss,weights,expected",
    [
        (content.l1, None, [1.0, 0.75]),  # 0.5 + 1/2, 0.25 + 0.5
        (content.l2, None, [0.75, 0.3125]),  # 0.25 + 1/2, 0.0625 + 0.25
        (content.l1, [3.0, 0.5], [1.75, 1.0]),  # 3 * 0.5 + 0.5 * 0.5, 3 * 0.25 + 0.5 * 0.5
    ],
)
def test_worked_by_hand(loss, weights, expected):
    np.testing.assert_allclose(
        value(content.multi_scale(loss, TRUTHS, ESTIMATES, weights=weights)), expected, rtol=1e-6
    )


def test_each_scale_has_its_own_masks():
    # Half scale: all of it, 0.5 and 0.25. Full scale: the left pixel, 1 / 2 and 0.5 / 2.
    masks = [np.ones((2, 1, 1, 1), "float32"), np.tile(np.array([1.0, 0.0]).reshape(1, 1, 2, 1), (2, 1, 1, 1))]
    loss = content.multi_scale(structural.equal_structural, TRUTHS, ESTIMATES, masks)
    np.testing.assert_allclose(value(loss), [1.0, 0.5], rtol=1e-6)


def test_half_precision_is_computed_in_float32():
    # 2,000 + 0.5 is not a float16.
    truths = [np.zeros((1, 1, 1, 1), "float16")] * 2
    estimates = [np.full((1, 1, 1, 1), number, "float16") for number in (2000, 0.5)]
    np.testing.assert_array_equal(value(content.multi_scale(content.l1, truths, estimates)), [2000.5])


def test_sequences_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"lengths \[2, 1\]"):
        content.multi_scale(content.l1, TRUTHS, ESTIMATES[:1])
    with pytest.raises(ValueError, match=r"lengths \[2, 2, 3\]"):
        content.multi_scale(content.l1, TRUTHS, ESTIMATES, weights=[1, 1, 1])
    with pytest.raises(ValueError, match=r"lengths \[0, 0\]"):
        content.multi_scale(content.l1, [], [])
