import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.faces.alignment import canonical_points
from trainers.datasets.video_pairs import pair_rules
from trainers.datasets.video_pairs.clip import Settings


def picture(sigma=0.0):
    pixels = np.random.default_rng(0).uniform(0, 255, (128, 128, 3))
    pixels = ndimage.gaussian_filter(pixels, (1, 1, 0))
    pixels = (pixels - pixels.mean()) * 3 + 128
    return np.clip(ndimage.gaussian_filter(pixels, (0, sigma, 0)), 0, 255).astype(np.uint8)


def track(*places):
    """The five points of a face that is moved right by these many pixels of a crop of 128."""
    return np.stack([canonical_points(128) + [place, 0] for place in places])


def test_blur_along_one_axis_lowers_sharpness():
    values = [pair_rules.sharpness(picture(sigma)) for sigma in (0.0, 1.0, 2.0)]
    assert values[0] > 1.3 * values[1] > 1.3**2 * values[2] > 0
    # Contrast and brightness do not count.
    pale = (picture().astype(float) * 0.5 + 60).astype(np.uint8)
    assert pair_rules.sharpness(pale) == pytest.approx(values[0], rel=0.03)
    assert pair_rules.sharpness(np.full((128, 128, 3), 80, np.uint8)) == 0


def test_motion_by_hand():
    offset, unevenness = pair_rules.motion(track(-4, -2, 0, 2, 4))
    # Five even places from -4 to 4: mean 0, standard deviation sqrt(8), range 8.
    assert offset == pytest.approx(0, abs=1e-6) and unevenness == pytest.approx(np.sqrt(8) / 8)
    offset, unevenness = pair_rules.motion(track(0, 0, 0, 5, 10))
    assert offset == pytest.approx(3)
    # Two places, half of the time each: as uneven as can be. Nearly still: not counted.
    assert pair_rules.motion(track(-4, -4, -4, 4, 4, 4))[1] == pytest.approx(0.5)
    assert pair_rules.motion(track(-1, 0, 1))[1] == 0


def test_a_face_twice_as_large_moves_half_as_far_in_its_crop():
    assert pair_rules.motion(2 * track(0, 0, 0, 5, 10))[0] == pytest.approx(3)


@pytest.mark.parametrize(
    ("sharp", "places", "reason"),
    [
        (picture(), (-4, -2, 0, 2, 4), ""),
        (picture(3.0), (-4, -2, 0, 2, 4), pair_rules.BLURRED),
        (picture(), (0, 0, 0, 5, 10), pair_rules.BESIDE),
        (picture(), (-5, -5, -5, 0, 5, 5, 5), pair_rules.AT_REST),
    ],
)
def test_reasons(sharp, places, reason):
    assert pair_rules.refusal(sharp, track(*places), Settings(margin=0)) == reason


@pytest.mark.parametrize(("count", "most", "expected"), [
    (5, None, [0, 1, 2, 3, 4]), (3, 5, [0, 1, 2]), (4, 2, [0, 2]), (100, 1, [0]), (0, 3, []),
])  # fmt: skip
def test_evenly_spread_by_hand(count, most, expected):
    assert list(pair_rules.evenly_spread(range(count), most)) == expected


@pytest.mark.parametrize("count", [7, 40, 333, 1000])
def test_evenly_spread_reaches_over_all_of_them(count):
    chosen = list(pair_rules.evenly_spread(iter(range(count)), 7))
    assert len(chosen) == 7 and chosen == sorted(set(chosen))
    gaps = np.diff([*chosen, count])
    assert gaps.max() <= 3 * count / 7
