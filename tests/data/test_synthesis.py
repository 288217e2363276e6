import numpy as np
import pytest

from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data import host_blur
from deblur_zoo.data.augmentation import Augmentation
from deblur_zoo.data.synthesis import PairMaker, Synthesis, degrade

STILL = Augmentation(scale=0, shift=0, rotation=0, mirror=0)


@pytest.fixture(scope="module")
def banks():
    return {"trajectory": make_bank("trajectory", 6, (13, 15)), "linear": make_bank("linear", 6, (9,))}


@pytest.fixture(scope="module")
def faces():
    return np.random.default_rng(0).integers(0, 256, (7, 40, 40, 3), dtype=np.uint8)


def pair_maker(faces, banks, seed=0, labels=None, **settings):
    shares = settings.pop("shares", {"trajectory": 0.75, "linear": 0.25})
    return PairMaker(faces, banks, Synthesis(crop_size=32, shares=shares, **settings), seed, labels)


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


def test_plans_are_the_single_plans(faces, banks):
    maker = pair_maker(faces, banks, jpeg=(30, 90))
    plans = maker.plans(11, 5)
    dtypes = {"face": "int32", "matrix": "int32", "mirrored": "bool", "unblurred": "bool", "kernel": "int32"}
    dtypes |= {"sigma": "float32", "key": "uint32", "jpeg_quality": "int32"}
    assert {name: str(values.dtype) for name, values in plans.items()} == dtypes
    for i in range(5):
        for name, value in maker.plan(11 + i).items():
            np.testing.assert_array_equal(plans[name][i], value)
    # JPEG is drawn last: without it nothing else changes.
    without = pair_maker(faces, banks).plans(11, 5)
    for name, values in without.items():
        np.testing.assert_array_equal(values, plans[name])


def test_draws_stay_what_they_are(faces, banks):
    """A run resumed with a later version must see the same samples: those of seed 0, number 126."""
    plan = pair_maker(faces, banks, unblurred_share=0.25).plan(126)
    expected = {
        "face": 2,
        "matrix": [[-60039, 31320, 2007785], [31320, 60039, 210219]],
        "mirrored": True,
        "unblurred": True,
        "kernel": 10,
        "sigma": 0.008125409483909607,
        "key": [1184071339, 1517447849],
    }
    assert {name: value.tolist() for name, value in plan.items()} == expected


def test_keys_and_warps_are_all_different(faces, banks):
    plans = pair_maker(faces, banks).plans(0, 500)
    assert len(np.unique(plans["key"], axis=0)) == len(np.unique(plans["matrix"], axis=0)) == 500
    assert 0 < plans["sigma"].min() < 0.0005 and 0.0095 < plans["sigma"].max() < 0.01


def test_other_ranges_of_the_warp_change_the_warp_alone(faces, banks):
    maker = pair_maker(faces, banks)
    still = maker.with_augmentation(STILL)
    one, other = maker.plans(0, 20), still.plans(0, 20)
    for name in ("face", "kernel", "sigma", "key", "unblurred"):
        np.testing.assert_array_equal(one[name], other[name])
    np.testing.assert_array_equal(other["matrix"][3], [[65536, 0, 4 * 65536], [0, 65536, 4 * 65536]])
    assert still.kernels is maker.kernels and maker.synthesis.augmentation != STILL


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


def test_shares_of_the_banks_and_their_kernels(faces, banks):
    maker = pair_maker(faces, banks)
    chosen = maker.plans(0, 800)["kernel"]
    # The linear bank comes second, after 6 kernels.
    assert abs((chosen >= 6).mean() - 0.25) < 0.061
    assert set(chosen) == set(range(12))
    for index in range(12):
        expected = (banks["trajectory"], banks["linear"])[index // 6].kernel(index % 6)
        np.testing.assert_array_equal(maker.kernel(index), expected)
        # In the common array convolution is centred on the middle pixel.
        picture = np.random.default_rng(0).random((1, 30, 30, 1), dtype=np.float32)
        np.testing.assert_allclose(
            host_blur.blur(picture, maker.kernels[index : index + 1]), host_blur.blur(picture, [expected]), atol=1e-6
        )


def test_jpeg_comes_last_and_spares_unblurred_faces(faces, banks):
    plain = pair_maker(faces, banks, unblurred_share=0.3)
    compressed = pair_maker(faces, banks, unblurred_share=0.3, jpeg=(20, 60))
    for number in range(12):
        plan = compressed.plan(number)
        assert 20 <= plan["jpeg_quality"] <= 60
        blurred, sharp = plain.pair(number)
        expected = blurred if plan["unblurred"] else host_blur.jpeg(blurred, int(plan["jpeg_quality"]))
        np.testing.assert_array_equal(compressed.pair(number)[0], expected)
        np.testing.assert_array_equal(compressed.pair(number)[1], sharp)


@pytest.mark.parametrize("jpeg", [(0, 50), (60, 50), (50, 101), (50,)])
def test_bad_jpeg_range(jpeg):
    with pytest.raises(ValueError, match="1 to 100"):
        Synthesis(jpeg=jpeg)


def test_labels_must_fit(faces, banks):
    with pytest.raises(ValueError, match=r"\(7, 40, 41\)"):
        pair_maker(faces, banks, labels=np.zeros((7, 40, 41), np.uint8))
