"""Interpolated frames against frames that the test renders at the same positions."""

import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.video.frame_averages import predefined_averages
from deblur_zoo.video.frame_interpolation import MOST_BETWEEN, frames_needed, light_between, optical_flow
from deblur_zoo.video.frame_sum import FrameSum, light_of_levels

SIDE = 96


@pytest.fixture(scope="module")
def texture():
    noise = np.random.default_rng(0).standard_normal((3 * SIDE, 3 * SIDE))
    smooth = ndimage.gaussian_filter(noise, 3)
    return 128 + 60 * smooth / np.abs(smooth).max() * 1.9


def frame(texture, place):
    """The texture moved right by ``place`` pixels, a fraction too: uint8 (SIDE, SIDE)."""
    moved = ndimage.shift(texture, (0, place), order=3, mode="nearest")[SIDE : 2 * SIDE, SIDE : 2 * SIDE]
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def levels(light):
    """Grey levels in [0, 255] of light in the unit of ``FrameSum``."""
    white = light_of_levels(np.array([255], np.uint8), "gamma")[0]
    return 255 * (light / white) ** (1 / 2.2)


@pytest.mark.parametrize("step", [3.0, 7.0])
def test_motion_is_drawn_out(texture, step):
    one, other = frame(texture, 0), frame(texture, step)
    light = light_between(one, other)
    places = (np.arange(64) + 0.5) / 64 * step
    expected = np.mean([(frame(texture, place) / 255.0) ** 2.2 for place in places], axis=0) ** (1 / 2.2) * 255
    doubled = ((one / 255.0) ** 2.2 / 2 + (other / 255.0) ** 2.2 / 2) ** (1 / 2.2) * 255
    inner = slice(12, -12)
    error, without = (np.sqrt(np.mean((found - expected)[inner, inner] ** 2)) for found in (levels(light), doubled))
    # The trapezoid rule with steps of a pixel, and the flow's own error; the two frames alone are many times off.
    assert error < 1.0 and without > 3 * error


def test_still_frames_are_their_own_light(texture):
    one = frame(texture, 0)
    total = FrameSum("gamma")
    total.add(one)
    np.testing.assert_array_equal(light_between(one, one), total.total)
    assert not optical_flow(one, one).any()


def test_flow_is_the_shift(texture):
    flow = optical_flow(frame(texture, 0), frame(texture, 4.0))[16:-16, 16:-16]
    np.testing.assert_allclose(np.median(flow[..., 0]), 4, atol=0.1)
    np.testing.assert_allclose(np.median(flow[..., 1]), 0, atol=0.1)


@pytest.mark.parametrize(("motion", "count"), [(0.0, 0), (1.0, 0), (1.1, 1), (4.0, 3), (100.0, MOST_BETWEEN)])
def test_no_step_is_longer_than_a_pixel(motion, count):
    flow = np.zeros((20, 20, 2), np.float32)
    flow[..., 0] = motion
    assert frames_needed(flow) == count


def test_an_average_of_intervals_weighs_each_of_them_alike():
    """By hand: three flat frames too small for any flow; the middle one ends both intervals and counts twice."""
    frames = [np.full((8, 8, 3), level, np.uint8) for level in (0, 100, 200)]
    (average,) = predefined_averages(frames, 3, between=light_between)
    light = [(level / 255) ** 2.2 for level in (0, 100, 200)]
    expected = 255 * ((light[0] + 2 * light[1] + light[2]) / 4) ** (1 / 2.2)
    np.testing.assert_allclose(average.blurred, expected, atol=0.51)


def test_refusals(texture):
    one = frame(texture, 0)
    with pytest.raises(ValueError, match="above 0 pixels, got 0"):
        light_between(one, one, longest_step=0)
    with pytest.raises(ValueError):
        light_between(one, one[:-1])
    with pytest.raises(TypeError):
        light_between(one.astype(np.float32), one)
