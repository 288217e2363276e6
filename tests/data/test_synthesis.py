import numpy as np
import pytest

from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data import batches, pipeline
from deblur_zoo.data.augmentation import Augmentation
from deblur_zoo.data.synthesis import PairMaker, Synthesis, degrade

STILL = Augmentation(scale=0, shift=0, rotation=0, mirror=0)


@pytest.fixture(scope="module")
def banks():
    return {"trajectory": make_bank("trajectory", 6, (13, 15)), "linear": make_bank("linear", 6, (9,))}


@pytest.fixture(scope="module")
def faces():
    return np.random.default_rng(0).integers(0, 256, (7, 40, 40, 3), dtype=np.uint8)


def pair_maker(faces, banks, seed=0, **settings):
    shares = settings.pop("shares", {"trajectory": 0.75, "linear": 0.25})
    return PairMaker(faces, banks, Synthesis(crop_size=32, shares=shares, **settings), seed)


def test_degrade_equals_scipy(banks):
    ndimage = pytest.importorskip("scipy.ndimage")
    face = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    kernel = banks["trajectory"].kernel(0)
    noise = np.random.default_rng(5).standard_normal(face.shape, dtype=np.float32)
    blurred = np.stack(
        [ndimage.convolve(face[..., c].astype(np.float64), kernel, mode="mirror") for c in range(3)], axis=-1
    )
    expected = np.clip(blurred + 255 * 0.02 * noise, 0, 255)
    actual = degrade(face, kernel, 0.02, np.random.default_rng(5))
    # Rounding to 8 bits: half a grey level, and float32 sums on top.
    assert np.abs(actual - expected).max() < 0.5 + 1e-3


def test_a_sample_depends_on_its_number_alone(faces, banks):
    first, second = pair_maker(faces, banks), pair_maker(faces, banks)
    forward = [first.pair(number) for number in range(20)]
    backward = [second.pair(number) for number in reversed(range(20))][::-1]
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(
        not np.array_equal(first.pair(number)[0], pair_maker(faces, banks, seed=1).pair(number)[0])
        for number in range(20)
    )


def test_every_epoch_shows_every_face_once(faces, banks):
    maker = pair_maker(faces, banks)
    for epoch in range(3):
        shown = [maker.face_index(number) for number in range(7 * epoch, 7 * epoch + 7)]
        assert sorted(shown) == list(range(7))


def test_unblurred_share(faces, banks):
    maker = pair_maker(faces, banks, unblurred_share=0.25, augmentation=STILL)
    same = np.mean([np.array_equal(*maker.pair(number)) for number in range(800)])
    # Binomial: standard error sqrt(0.25 * 0.75 / 800) = 0.015, four of them.
    assert abs(same - 0.25) < 0.061


def test_shares_of_the_banks(faces, banks):
    calls = {"trajectory": 0, "linear": 0}

    class Counting:
        def __init__(self, name):
            self.name, self.kernels = name, banks[name].kernels

        def kernel(self, index):
            calls[self.name] += 1
            return banks[self.name].kernel(index)

    maker = pair_maker(faces, {name: Counting(name) for name in banks}, augmentation=STILL)
    for number in range(800):
        maker.pair(number)
    assert sum(calls.values()) == 800
    assert abs(calls["linear"] / 800 - 0.25) < 0.061


@pytest.mark.parametrize("source", [pipeline, batches])
def test_batches_start_at_any_step(source, faces, banks):
    training_batches = source.training_batches
    maker = pair_maker(faces, banks)
    whole = [batch for _, batch in zip(range(4), training_batches(maker, 3), strict=False)]
    later = [batch for _, batch in zip(range(2), training_batches(maker, 3, first_step=2), strict=False)]
    for one, other in zip(whole[2:], later, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(whole[1][0][2], maker.pair(5)[0])
