import math

import numpy as np
import pytest

from deblur_zoo.data import host_synthesis
from deblur_zoo.data.augmentation import Augmentation, warp_matrix


def face(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def warp(picture, size, **ranges):
    return host_synthesis.warp(picture, warp_matrix(picture.shape[:2], size, **ranges), size)


def test_no_warp_is_the_central_crop():
    picture = face(24)
    np.testing.assert_array_equal(warp(picture, 16), picture[4:20, 4:20])


def test_mirror_swaps_left_and_right():
    picture = face(16)
    np.testing.assert_array_equal(warp(picture, 16, mirror=True), picture[:, ::-1])


def test_quarter_turn_is_clockwise():
    picture = face(16)
    np.testing.assert_array_equal(warp(picture, 16, rotation=math.pi / 2), np.rot90(picture, -1))


def test_mirror_comes_before_the_turn():
    picture = face(16)
    expected = np.rot90(picture[:, ::-1], -1)
    np.testing.assert_array_equal(warp(picture, 16, rotation=math.pi / 2, mirror=True), expected)


def test_shift_moves_right_and_down_and_mirrors_the_border():
    picture = face(16)
    moved = warp(picture, 16, shift_x=3, shift_y=2)
    np.testing.assert_array_equal(moved[2:, 3:], picture[:-2, :-3])
    # reflect_101: what is 2 rows above the first row is row 2.
    np.testing.assert_array_equal(moved[0, 3:], picture[2, :-3])


def test_scale_enlarges():
    # A white square of 8 pixels in the middle becomes one of 16.
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[12:20, 12:20] = 255
    area = warp(picture, 32, scale=2.0).astype(float).sum() / 255 / 3
    assert area == pytest.approx(16 * 16, rel=0.01)


def test_matrix_by_hand():
    # Scale 2, no turn: half a pixel a pixel; the crop's middle (7.5, 7.5) shows the face's middle (9.5, 11.5).
    matrix = warp_matrix((24, 20), 16, scale=2.0)
    np.testing.assert_array_equal(matrix, [[32768, 0, 5.75 * 65536], [0, 32768, 7.75 * 65536]])


def test_a_warp_that_leads_too_far_is_refused():
    with pytest.raises(ValueError, match="16384 pixels"):
        warp_matrix((128, 128), 128, shift_x=2e4)
    with pytest.raises(ValueError, match="16384 pixels"):
        warp_matrix((128, 128), 128, scale=1e-3)


def test_drawn_warps_fill_their_ranges():
    generator = np.random.default_rng(0)
    drawn = np.array([Augmentation(0.1, 12, 30, 0.25).draw(generator) for _ in range(4000)], float)
    scale, x, y, angle, mirrored = drawn.T
    for values, low, high in [(scale, 0.9, 1.1), (x, -12, 12), (y, -12, 12), (np.degrees(angle), -30, 30)]:
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high >= values.max() > high - 0.02 * (high - low)
        # A uniform variable's mean over 4,000 draws: standard error (high - low) / sqrt(12 * 4000), four of them.
        assert abs(values.mean() - (low + high) / 2) < 4 * (high - low) / math.sqrt(12 * 4000)
    # Binomial: standard error sqrt(0.25 * 0.75 / 4000) = 0.0068, four of them.
    assert abs(mirrored.mean() - 0.25) < 0.028
