"""Choosing the size at which the network sees a face, with networks whose answers are known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

import deblur_zoo
from deblur_zoo.faces.alignment import canonical_points
from deblur_zoo.faces.detection import Face
from deblur_zoo.restoration.face_mask import face_mask, weight_at
from deblur_zoo.restoration.photo import DEFAULT_PRESET, PhotoOptions, restore_photo
from deblur_zoo.restoration.working_size import (
    NEGLIGIBLE,
    best_corrections,
    candidates,
    corrections_of,
    face_corrections,
)
from examples import make_example


@pytest.mark.parametrize(
    ("face_size", "expected"),
    [
        (30, (64,)),
        (64, (64,)),
        (100, (96,)),
        (128, (96, 128)),
        (240.7, (96, 128, 192, 240)),
        (512, (96, 128, 192, 256)),
        (4000, (96, 128, 192, 256)),
    ],
)
def test_candidates(face_size, expected):
    # 100 gives 96 itself: rounded down to a multiple of 8, it replaces the 96 of the list.
    assert candidates(face_size) == expected


def network(strength_at):
    """Adds ``strength_at[size]`` everywhere, and remembers the batches that it was given."""

    def restore(images):
        restore.calls.append(images.shape[:2])
        return images + np.float32(strength_at[images.shape[1]])

    restore.calls = []
    return restore


def grey(index, size):
    return np.full((size, size, 3), 0.5, np.float32)


@pytest.mark.parametrize(
    ("strengths", "size"),
    [
        ([0.05, 0.09, 0.04, 0.01], 128),
        ([0.09, 0.05, 0.02, 0.01], 96),
        # Blur too small to be seen until the face's own size.
        ([0.001, 0.001, 0.001, 0.02], 256),
        # The smaller of two that are nearly equal.
        ([0.05, 0.08, 0.081, 0.04], 128),
        # Nothing to do at any size: the face's own.
        ([0.002, 0.001, 0.001, 0.0005], 256),
    ],
)
def test_the_largest_correction_wins(strengths, size):
    restore = network(dict(zip((96, 128, 192, 256), strengths, strict=True)))
    (found,) = best_corrections(grey, [256], restore)
    assert found.size == size and found.residual.shape == (size, size, 3)
    expected = strengths[(96, 128, 192, 256).index(size)]
    # The same everywhere, so the mask does not matter; float32 near 0.5 resolves 6e-8.
    assert found.strength == pytest.approx(expected, abs=1e-6)


def test_the_search_stops_where_corrections_fall():
    restore = network({96: 0.09, 128: 0.05, 192: 0.02})
    best_corrections(grey, [512], restore)
    assert restore.calls == [(1, 96), (1, 128)]


@pytest.mark.parametrize(
    ("strengths", "calls", "size"),
    [
        # Sharp at its own size, which the search has seen.
        ([0.03, 0.029, 0.028, 0.004], [96, 128, 192, 256], 256),
        # Sharp at its own size, before which the search stops.
        ([0.09, 0.05, 0.02, 0.004], [96, 128, 256], 256),
        ([0.09, 0.05, 0.02, 0.01], [96, 128, 256], 96),
    ],
)
def test_a_face_is_seen_at_its_own_size_once(strengths, calls, size):
    restore = network(dict(zip((96, 128, 192, 256), strengths, strict=True)))
    (found,) = face_corrections(grey, [256], restore)
    assert found.size == size and [shape[1] for shape in restore.calls] == calls


def correction_to(target, crop):
    (found,) = corrections_of(crop[None], lambda images: target[None])
    return found


def test_sharpening_by_hand():
    crop = np.float32(make_example.make()[0]) / 255
    detail = crop - gaussian_filter(crop, (1, 1, 0), mode="mirror")
    weights = face_mask(128)[..., None] / (3 * face_mask(128).sum())
    size = np.sqrt(np.sum(weights * detail**2))
    for factor in (0.5, -0.3):
        assert correction_to(crop + factor * detail, crop).sharpening == pytest.approx(factor * size, rel=1e-3)
    # Detail that is not there cannot be amplified.
    assert correction_to(grey(0, 64) + 0.1, grey(0, 64)).sharpening == 0


def test_slight_blur_is_told_from_noise():
    """Networks that restore the face exactly: these change it by 3 and by 2.5 grey levels."""
    sharp = np.float32(make_example.make()[0]) / 255
    noisy = sharp + np.random.default_rng(0).normal(0, 3 / 255, sharp.shape).astype(np.float32)
    slight = gaussian_filter(sharp, (0.5, 0.5, 0))
    assert not correction_to(sharp, noisy).blurred and correction_to(sharp, noisy).sharpening < 0
    assert correction_to(sharp, slight).blurred and correction_to(sharp, slight).strength < 1 / 255
    # Strong blur leaves no detail to amplify.
    strong = gaussian_filter(sharp, (8, 8, 0))
    assert correction_to(sharp, strong).blurred


def test_removing_texture_is_not_undoing_blur():
    """Spots of 4x4 pixels, which a network takes for noise: it changes the face by 5 grey levels."""
    smooth = np.float32(make_example.make()[0]) / 255
    spots = np.random.default_rng(0).normal(0, 5 / 255, (32, 32, 1)).repeat(4, axis=0).repeat(4, axis=1)
    found = correction_to(smooth, smooth + np.float32(spots))
    assert found.strength > 4 / 255 and not found.blurred


def test_faces_of_one_size_are_restored_together():
    restore = network({64: NEGLIGIBLE / 2, 96: NEGLIGIBLE / 2, 128: NEGLIGIBLE / 2, 88: NEGLIGIBLE / 2})
    found = best_corrections(grey, [128, 50, 90], restore)
    assert [correction.size for correction in found] == [128, 64, 88]
    assert restore.calls == [(1, 64), (1, 88), (1, 96), (1, 128)]


def test_the_mask_by_hand():
    # 1 in the centre, 0 on the outline (0.49 to the side), and halfway through the feather smoothstep(1/2) = 1/2.
    x = np.array([0.5, 0.5 + 0.49, 0.5 + 0.825 * 0.49, 0.0])
    np.testing.assert_allclose(weight_at(x, np.full(4, 0.5)), [1, 0, 0.5, 0], atol=1e-12)
    mask = face_mask(64)
    assert mask.shape == (64, 64) and np.array_equal(mask, mask[:, ::-1]) and mask[0].max() < 0.01


@pytest.fixture(scope="module")
def default_model():
    return deblur_zoo.load(DEFAULT_PRESET)


@pytest.mark.parametrize("size", [64, 96, 128, 192, 256, 384, 512])
def test_a_sharp_face_of_any_size_stays(size, default_model):
    """At 40 dB or better with the default preset, with a camera's noise (0.005, so 46 dB go in).

    Up to 128 pixels the crop is the astronaut's face; larger sharp crops are of all of the photo.
    """
    cv2 = pytest.importorskip("cv2")
    photo = data.astronaut()
    window = photo[56:192, 160:296] if size <= 128 else photo
    truth = cv2.resize(window, (size, size), interpolation=cv2.INTER_AREA).astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 0.005 * 255, truth.shape)
    given = np.rint(np.clip(truth + noise, 0, 255)).astype(np.uint8)
    points = canonical_points(size)
    face = Face(np.array([0, 0, size, size], np.float64), points, 0.99)
    result = restore_photo(given, default_model.run, PhotoOptions(background="keep"), lambda _: [face])
    assert result.faces[0].size == pytest.approx(size, rel=0.01)
    assert -10 * np.log10(np.mean((result.pixels - truth) ** 2) / 255**2) >= 40
