import numpy as np
import pytest

from deblur_zoo.metrics.by_class import quality_by_class
from deblur_zoo.metrics.image_quality import psnr, ssim


def test_psnr_by_hand():
    truth = np.full((2, 16, 16, 3), 0.5, np.float32)
    estimate, labels = truth.copy(), np.zeros((2, 16, 16), np.uint8)
    labels[0, :8] = 1
    labels[0, 0, 0] = 255  # unknown: in no class
    estimate[0, :8] += 0.1
    estimate[0, 0, 0] = 1
    estimate[0, 8:, :, 0] += 0.3  # mean square 0.09 / 3: 15.23 dB
    found = quality_by_class(truth, estimate, labels, {"first": (0,), "second": (1, 2)})
    np.testing.assert_allclose(found["first"][0], [15.228787, 60], atol=1e-4)
    np.testing.assert_allclose(found["second"][0], [20, np.nan], atol=1e-4)
    assert np.isnan(found["second"][1][1]) and found["first"][1][1] == pytest.approx(1)


def test_one_class_of_all_pixels_equals_the_measures_of_images():
    random = np.random.default_rng(0)
    truth, estimate = random.random((2, 3, 20, 24, 3), dtype=np.float32)
    found = quality_by_class(truth, estimate, np.zeros((3, 20, 24), int), {"all": (0,)})["all"]
    np.testing.assert_allclose(found[0], psnr(truth, estimate), atol=1e-4)
    np.testing.assert_allclose(found[1], ssim(truth, estimate), atol=1e-5)


def test_labels_of_another_size_are_refused():
    with pytest.raises(ValueError, match="labels of shape"):
        quality_by_class(*np.zeros((2, 1, 16, 16, 3), np.float32), np.zeros((1, 16, 15)))
