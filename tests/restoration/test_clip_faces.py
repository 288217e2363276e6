"""What is decided for a face of a video, and its blending over time."""

import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.faces.alignment import canonical_points
from deblur_zoo.restoration.clip_faces import BlendedFace, Survey, fade
from deblur_zoo.restoration.face_crop import crop_of, matrix_of, size_of


def test_sizes_and_crops():
    pixels = np.random.default_rng(0).integers(0, 256, (200, 220, 3), dtype=np.uint8)
    points = canonical_points(96) + [50, 40]
    assert size_of(points) == pytest.approx(96)
    np.testing.assert_allclose(matrix_of(points, 96), [[1, 0, -50], [0, 1, -40]], atol=1e-9)
    np.testing.assert_allclose(crop_of(pixels, points, 96), pixels[40:136, 50:146] / np.float32(255), atol=1e-5)
    deep = pixels.astype(np.uint16) * 257
    np.testing.assert_allclose(crop_of(deep, points, 96), crop_of(pixels, points, 96), atol=1e-5)


def shown(value=0.5, size=64):
    return np.full((size, size, 3), value, np.float32)


def test_noise_of_a_still_face_is_averaged():
    random = np.random.default_rng(0)
    face, results = BlendedFace(), []
    for _ in range(60):
        crop = shown() + random.normal(0, 0.01, (64, 64, 3)).astype(np.float32)
        flicker = np.float32(random.normal(0, 0.02))
        results.append(crop + face.correction(crop, crop + 0.1 + flicker))
    results = np.stack(results[20:])
    # A share of 0.2 a frame leaves 0.2 / (2 - 0.2), a ninth, of the variance of independent frames.
    assert results.var(axis=0).mean() < 0.2 * (0.01**2 + 0.02**2)
    assert results.mean() == pytest.approx(0.6, abs=0.01)


def test_what_moves_within_a_face_is_seen_once():
    face = BlendedFace()
    for t in range(30):
        crop = shown()
        crop[:, t : t + 8] = 0.8
        crop = ndimage.gaussian_filter(crop, (1, 1, 0))
        correction = face.correction(crop, crop + 0.1 * (crop - 0.5))
        np.testing.assert_allclose(crop + correction, crop + 0.1 * (crop - 0.5), atol=0.012)


def test_a_change_of_light_is_followed_at_once():
    face = BlendedFace()
    for value in (0.3, 0.3, 0.3, 0.6):
        correction = face.correction(shown(value), shown(value) + 0.05)
    np.testing.assert_allclose(correction, 0.05, atol=1e-6)


@pytest.mark.parametrize(
    "index, starts, ends, expected",
    [
        (0, True, True, 1),
        (0, False, True, 1 / 8),
        (3, False, True, 0.5),
        (39, True, False, 1 / 8),
        (20, False, False, 1),
    ],
)
def test_fading(index, starts, ends, expected):
    assert fade(index, 40, starts, ends) == pytest.approx(expected)


def unsharp(images):
    return np.clip(3 * images - 2 * ndimage.gaussian_filter(images, (0, 2, 2, 0)), 0, 1).astype(np.float32)


def test_a_face_is_judged_by_frames_spread_over_all_of_them():
    calls = []

    def network(images):
        calls.append(len(images))
        return unsharp(images)

    points = canonical_points(64) + [20, 20]
    random = np.random.default_rng(0).integers(0, 256, (110, 110, 3)).astype(np.float64)
    blurred = ndimage.gaussian_filter(random, (2, 2, 0)).astype(np.uint8)
    survey = Survey()
    for _ in range(500):
        survey.offer(blurred, points, network)
    # Two faces at the working size of 64, then half as often with every doubling.
    assert 4 <= len(survey.samples) <= 8 and len(calls) < 60
    assert survey.blurred and survey.working_size == 64 and survey.size == pytest.approx(64)
    assert survey.blur > 0


def test_sharp_faces_and_those_blurred_now_and_then():
    points = canonical_points(64) + [20, 20]
    pixels = np.random.default_rng(0).integers(0, 256, (110, 110, 3), dtype=np.uint8)
    survey = Survey()
    for t in range(8):
        survey.offer(pixels, points, unsharp if t == 3 else lambda images: images)
    assert not survey.blurred and survey.blur == 0
    survey = Survey()
    for t in range(8):
        survey.offer(pixels, points, unsharp if t % 3 == 0 else lambda images: images)
    assert survey.blurred


def test_a_face_of_a_few_pixels_is_not_looked_at():
    survey = Survey()
    survey.offer(np.zeros((50, 50, 3), np.uint8), canonical_points(4) + 20, unsharp)
    assert survey.samples == [] and survey.size == 0
