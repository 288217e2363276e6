import numpy as np
import pytest
from keras import ops

from deblur_zoo.layers.resampling import halve


def test_halve_equals_opencv():
    cv2 = pytest.importorskip("cv2")
    images = np.random.default_rng(0).uniform(size=(2, 6, 10, 3)).astype("float32")
    expected = [cv2.resize(image, (5, 3), interpolation=cv2.INTER_AREA) for image in images]
    np.testing.assert_allclose(ops.convert_to_numpy(halve(images)), expected, atol=1e-6)
