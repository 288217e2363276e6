import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from deblur_zoo.blur.rasterization import TOTAL, fit, mass_centre, rasterize


def test_one_point_by_hand():
    kernel = rasterize(np.array([[1.25, 2.5]]), 5)
    expected = np.zeros((5, 5))
    expected[2, 1], expected[2, 2] = 0.75 * 0.5, 0.25 * 0.5
    expected[3, 1], expected[3, 2] = 0.75 * 0.5, 0.25 * 0.5
    np.testing.assert_array_equal(kernel, expected)


def test_last_pixel_takes_its_whole_weight():
    kernel = rasterize(np.array([[4.0, 4.0], [0.0, 4.0]]), 5)
    assert kernel[4, 4] == 0.5 and kernel[4, 0] == 0.5


def test_weights_are_whole_parts_and_sum_to_exactly_one():
    points = np.random.default_rng(0).uniform(0, 12, (1000, 2))
    kernel = rasterize(points, 13)
    assert kernel.dtype == np.float32
    parts = kernel.astype(np.float64) * TOTAL
    np.testing.assert_array_equal(parts, np.rint(parts))
    # In float32, in any order.
    assert kernel.sum() == 1 and kernel.T.reshape(-1)[::-1].cumsum(dtype=np.float32)[-1] == 1
    # Rounding by largest remainders: each weight is within one part of the exact one.
    exact = np.zeros((14, 14))
    whole = np.floor(points).astype(int)
    part = points - whole
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1]) / 1000
            np.add.at(exact, (whole[:, 1] + dy, whole[:, 0] + dx), share)
    # Coordinates are rounded to 1/256 pixel too: about 6 points a pixel, each off by up to 1/256.
    np.testing.assert_allclose(kernel, exact[:13, :13], atol=1 / TOTAL + 12 / 1000 / 256)


@pytest.mark.parametrize("size", [3, 8, 13, 20, 29])
def test_fit_centres_and_fills(size):
    generator = np.random.default_rng(size)
    for _ in range(20):
        points = fit(generator.standard_normal((500, 2)).cumsum(axis=0), size)
        np.testing.assert_allclose(points.mean(axis=0), mass_centre(size), atol=1e-9)
        at_border = min(abs(points.min()), abs(size - 1 - points.max()))
        assert at_border < 1e-9
        assert points.min() > -1e-9 and points.max() < size - 1 + 1e-9
        centre = center_of_mass(rasterize(points, size).astype(np.float64))
        np.testing.assert_allclose(centre, mass_centre(size), atol=0.01)


def test_mass_centre_convention():
    assert mass_centre(13) == 6
    # Even: next to pixel size // 2, around which convolution turns, and within half a pixel of the middle, 3.5.
    assert mass_centre(8) == 4 - 1 / 16
