"""Adding a face's correction to its photo."""

import numpy as np
import pytest

from deblur_zoo.restoration.blending import add_correction
from deblur_zoo.restoration.face_mask import face_mask

SHIFT = np.array([[1.0, 0, -20], [0, 1, -30]])


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(60, 200, (120, 110, 3), dtype=np.uint8)


def wave(size):
    """A correction of mean 0 over the mask: its left half is minus its right half."""
    residual = np.zeros((size, size, 3), np.float32)
    residual[:, : size // 2], residual[:, size // 2 :] = 0.2, -0.2
    return residual


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("strength", [1.0, 0.5, 0.0])
def test_a_shifted_crop_by_hand(photo, dtype, strength):
    peak = np.iinfo(dtype).max
    pixels = photo.astype(dtype) * (peak // 255)
    result = pixels.copy()
    add_correction(result, pixels, wave(64), SHIFT, strength)
    expected = pixels.astype(np.float64)
    expected[30:94, 20:84] += strength * peak * wave(64) * face_mask(64)[..., None]
    # Rounding, and the feather's float32.
    np.testing.assert_allclose(result, expected, atol=0.51 if dtype == np.uint8 else 1.0)
    assert result.dtype == dtype


def test_pixels_outside_the_face_stay(photo):
    result = photo.copy()
    add_correction(result, photo, wave(64), SHIFT)
    outside = np.ones(photo.shape[:2], bool)
    outside[30:94, 20:84] = False
    assert np.array_equal(result[outside], photo[outside]) and not np.array_equal(result, photo)


def test_a_mean_shift_of_colour_is_taken_out(photo):
    result = photo.copy()
    add_correction(result, photo, np.full((64, 64, 3), 0.1, np.float32), SHIFT)
    assert np.array_equal(result, photo)


def test_no_correction_keeps_every_bit(photo):
    turned = np.array([[0.8, -0.6, 10], [0.6, 0.8, -40]])
    result = photo.copy()
    add_correction(result, photo, np.zeros((96, 96, 3), np.float32), turned)
    assert np.array_equal(result, photo)


def test_a_face_beyond_the_photo(photo):
    result = photo.copy()
    add_correction(result, photo, wave(64), np.array([[1.0, 0, 200], [0, 1, 0]]))
    assert np.array_equal(result, photo)


def test_a_restored_background_is_replaced_inside_the_face(photo):
    """In the middle of the face the result is the photo and its correction, whatever the background became."""
    result = np.zeros_like(photo)
    add_correction(result, photo, np.zeros((64, 64, 3), np.float32), SHIFT)
    assert np.array_equal(result[55:70, 45:60], photo[55:70, 45:60]) and not result[:30].any()
