"""Choosing the size at which the network sees a face, with networks whose answers are known."""

import numpy as np
import pytest

from deblur_zoo.restoration.face_mask import face_mask, weight_at
from deblur_zoo.restoration.working_size import NEGLIGIBLE, best_corrections, candidates


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
