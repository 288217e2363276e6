import numpy as np
import pytest
from scipy import stats

from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.evaluation import groups
from deblur_zoo.evaluation.measurement import evaluate
from deblur_zoo.evaluation.protocol import KernelSizes

NAMES = [f"crops/{gender}_{group}_{n:04d}.webp" for group in ("asian", "black") for gender in ("female", "male")
         for n in (1, 2)]  # fmt: skip


def test_the_group_is_in_the_name():
    assert groups.groups_of(NAMES) == ["asian"] * 4 + ["black"] * 4
    by_gender = groups.groups_of(NAMES, r"(?P<group>[a-z]+)_.*")
    assert by_gender == ["female", "female", "male", "male"] * 2


@pytest.mark.parametrize(
    ("names", "pattern", "sentence"),
    [
        (["182659.webp"], groups.PATTERN, "182659.webp"),
        ([*NAMES, "female_asian.webp"], groups.PATTERN, "female_asian.webp"),
        ([*NAMES, "x_indian_1.png"], groups.PATTERN, "indian has 1 faces; at least 3"),
        (NAMES, "(?P<group>", "regular expression"),
        (NAMES, ".*", "<group>"),
    ],
)
def test_names_and_patterns_that_say_no_group(names, pattern, sentence):
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        groups.groups_of(names, pattern)


def test_the_interval_of_normal_values_is_the_textbook_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = groups.bootstrap_interval(values)
    assert found.mean == values.mean()
    # For 400 values of a normal distribution the bootstrap comes to Student's interval, to a twentieth of its width.
    low, high = stats.t.interval(0.95, 399, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose([found.low, found.high], [low, high], atol=0.05 * (high - low))
    assert groups.bootstrap_interval(values) == found


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    """200 samples of 40 skewed values: 95 % of the intervals hold it, give or take what chance and skewness allow."""
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        found = groups.bootstrap_interval(generator.gamma(4, 0.5, 40))
        held += found.low <= 2 <= found.high
    # Binomial with 200 and 0.95: 180 is 3.2 standard deviations below; 199 is 3 above.
    assert 180 <= held <= 199


def test_constant_values_and_too_few():
    assert groups.bootstrap_interval([1.5] * 5) == groups.Interval(1.5, 1.5, 1.5)
    with pytest.raises(ValueError, match="2 values"):
        groups.bootstrap_interval([1.0])


def test_gains_count_each_face_once_in_its_group():
    faces = np.random.default_rng(2).integers(0, 256, (8, 24, 24, 3), dtype=np.uint8)
    protocol = KernelSizes(bank=make_bank("trajectory", 6, [9, 13], seed=1, split="test"), kernels_per_size=2)
    measurement = evaluate(lambda images: 0.5 + 0.8 * (images - 0.5), faces, protocol, sharp_in=False)
    found = groups.gains_by_group(measurement, groups.groups_of(NAMES))
    assert list(found) == ["asian", "black"]
    for group, members in (("asian", range(4)), ("black", range(4, 8))):
        gains = [
            np.mean([
                measurement.rows["restored"].psnr[pair] - measurement.rows["blurred"].psnr[pair]
                for pair in range(len(measurement.faces)) if measurement.faces[pair] == face
            ])
            for face in members
        ]  # fmt: skip
        assert found[group]["faces"] == 4
        assert found[group]["mean"] == pytest.approx(np.mean(gains))
        expected = stats.bootstrap(
            (gains,), np.mean, n_resamples=9999, method="BCa", random_state=np.random.default_rng(0)
        ).confidence_interval
        assert (found[group]["low"], found[group]["high"]) == pytest.approx((expected.low, expected.high))


def gains(**intervals):
    return {group: {"low": low, "high": high} for group, (low, high) in intervals.items()}


def test_the_sentence_says_whether_all_overlap():
    text = groups.overlap_sentence(gains(a=(1, 2), b=(1.5, 3), c=(1.8, 2.5)))
    assert text.startswith("all intervals overlap") and "+1.80" in text and "+2.00" in text
    # a and b overlap, and b and c, but not a and c.
    text = groups.overlap_sentence(gains(a=(1, 2), b=(1.5, 3), c=(2.2, 2.5)))
    assert text.startswith("not all") and "a ends at +2.00" in text and "c begins at +2.20" in text
    assert groups.overlap_sentence(gains(a=(1, 2), b=(2, 3))).startswith("all intervals overlap")
