import numpy as np
import pytest

from deblur_zoo.video.frame_sum import FrameSum


def pictures(count, seed=0, shape=(9, 11, 3)):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def test_identity_is_the_arithmetic_mean():
    frames = pictures(7)
    total = FrameSum("identity")
    for frame in frames:
        total.add(frame)
    # Whole numbers: the sum is exact, and so is its division in double precision.
    np.testing.assert_array_equal(total.levels(), frames.astype(np.int64).sum(axis=0) / 7)
    np.testing.assert_array_equal(total.mean(), np.rint(frames.mean(axis=0)).astype(np.uint8))
    assert total.mean().dtype == np.uint8 and total.count == 7


def test_gamma_is_the_mean_in_linear_light():
    frames = pictures(11, shape=(16, 16))
    # The darkest levels too, where the power is steepest.
    frames[:, :4] //= 60
    total = FrameSum("gamma")
    for frame in frames:
        total.add(frame)
    expected = 255 * np.mean((frames / 255.0) ** 2.2, axis=0) ** (1 / 2.2)
    # Light is kept to 2**-41; next to black, one level of eleven frames is 5e-7 of light: 1e-6 of it, or of a level.
    np.testing.assert_allclose(total.levels(), expected, atol=1e-5)
    np.testing.assert_array_equal(total.mean(), np.rint(expected))
    # By hand: half the light of white is 255 * 0.5 ** (1 / 2.2) = 186.08, not 127.5.
    half = FrameSum("gamma")
    half.add(np.full((1, 1), 0, np.uint8))
    half.add(np.full((1, 1), 255, np.uint8))
    assert half.levels()[0, 0] == pytest.approx(186.08, abs=0.005)


@pytest.mark.parametrize("response", ["gamma", "identity"])
def test_taking_away_leaves_no_trace(response):
    frames = pictures(200, seed=1)
    total, expected = FrameSum(response), FrameSum(response)
    for frame in frames:
        total.add(frame)
    for frame in frames[5:]:
        total.remove(frame)
    for frame in frames[:5]:
        expected.add(frame)
    np.testing.assert_array_equal(total.levels(), expected.levels())
    rows = slice(2, 5), slice(1, 4)
    np.testing.assert_array_equal(total.mean(rows), expected.mean()[2:5, 1:4])


def test_one_picture_is_its_own_mean():
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for response in ("gamma", "identity"):
        total = FrameSum(response)
        total.add(picture)
        np.testing.assert_array_equal(total.mean(), picture)


def test_refusals():
    with pytest.raises(ValueError, match="gamma, identity, got 'srgb'"):
        FrameSum("srgb")
    total = FrameSum()
    with pytest.raises(ValueError, match="mean"):
        total.mean()
    total.add(np.zeros((2, 3), np.uint8))
    with pytest.raises(TypeError, match="uint8, got float64"):
        total.add(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"\(3, 2\) .*\(2, 3\)"):
        total.add(np.zeros((3, 2), np.uint8))
