import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.blur.kernels import make_bank, standard_test_bank
from deblur_zoo.evaluation.protocol import KernelSizes


@pytest.fixture(scope="module")
def bank():
    return standard_test_bank()


def some_faces(count=3, side=40):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_the_bank_holds_ten_kernels_of_each_size(bank):
    assert {int(size): len(bank.of_size(size)) for size in np.unique(bank.sizes)} == dict.fromkeys(range(13, 28, 2), 10)
    assert bank.split == "test" and bank.kind == "trajectory"


def test_blurred_faces_equal_scipy_plus_the_seeded_noise(bank):
    faces = some_faces()
    protocol = KernelSizes(sigma=0.02, noise_seed=7, bank=bank)
    batches = list(protocol.batches(faces, batch_size=2))
    assert sum(len(batch.faces) for batch in batches) == 3 * 8
    for batch in batches:
        for blurred, sharp, face, kernel in zip(batch.blurred, batch.sharp, batch.faces, batch.kernels, strict=True):
            np.testing.assert_array_equal(sharp, faces[face])
            weights = bank.kernel(kernel).astype(np.float64)[:, :, None]
            expected = ndimage.convolve(sharp.astype(np.float64), weights, mode="mirror")
            noise = np.random.default_rng([7, face, kernel]).standard_normal(sharp.shape, dtype=np.float32)
            expected = np.clip(expected + 255 * 0.02 * noise, 0, 255)
            # Rounding to whole grey levels is the only difference.
            assert np.abs(blurred - expected).max() < 0.51


def test_a_face_meets_other_kernels_than_its_neighbours_and_in_the_end_all(bank):
    protocol = KernelSizes(kernels_per_size=1, bank=bank)
    met = {
        (int(f), int(k))
        for batch in protocol.batches(some_faces(12, 16))
        for f, k in zip(batch.faces, batch.kernels, strict=True)
    }
    for face in range(12):
        of_face = sorted(k for f, k in met if f == face)
        assert [int(bank.sizes[k]) for k in sorted(of_face, key=lambda k: bank.sizes[k])] == list(range(13, 28, 2))
        assert all(k in bank.of_size(bank.sizes[k])[[face % 10]] for k in of_face)
    everything = KernelSizes(kernels_per_size=10, bank=bank)
    met = [
        (int(f), int(k))
        for batch in everything.batches(some_faces(2, 16))
        for f, k in zip(batch.faces, batch.kernels, strict=True)
    ]
    assert sorted(met) == [(face, kernel) for face in range(2) for kernel in range(80)]


def test_fewer_faces_or_other_batches_do_not_change_a_pair(bank):
    faces = some_faces(5, 24)
    protocol = KernelSizes(bank=bank)

    def pairs(faces, batch_size):
        batches = protocol.batches(faces, batch_size)
        return {
            (int(f), int(k)): b
            for batch in batches
            for f, k, b in zip(batch.faces, batch.kernels, batch.blurred, strict=True)
        }

    everything, few = pairs(faces, 16), pairs(faces[:2], 1)
    assert len(few) == 16
    for key, blurred in few.items():
        np.testing.assert_array_equal(blurred, everything[key])


def test_bad_settings_are_refused():
    small = make_bank("linear", 4, [13, 15], seed=0, split="test")
    with pytest.raises(ValueError, match="kernels_per_size .*1 and 2, got 3"):
        KernelSizes(kernels_per_size=3, bank=small)
    with pytest.raises(ValueError, match="sigma"):
        KernelSizes(sigma=-0.1, bank=small)
