import numpy as np
import pytest
from keras import ops

from deblur_zoo.metrics.identity import identity_cosine


def test_by_hand():
    truth = np.array([[3.0, 4.0], [1.0, 0.0], [2.0, 0.0], [1.0, 1.0], [0.0, 0.0]], np.float32)
    estimate = np.array([[30.0, 40.0], [0.0, 5.0], [-1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], np.float32)
    expected = [1.0, 0.0, -1.0, np.sqrt(0.5), 0.0]
    np.testing.assert_allclose(ops.convert_to_numpy(identity_cosine(truth, estimate)), expected, atol=1e-6)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 4\) and \(2, 3\)"):
        identity_cosine(np.zeros((2, 4)), np.zeros((2, 3)))
