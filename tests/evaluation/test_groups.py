import numpy as np
import pandas as pd
import pytest
from scipy import stats

from deblur_zoo.evaluation import groups, statistics
from deblur_zoo.evaluation.methods import BLURRED_INPUT, Method
from deblur_zoo.evaluation.protocols import TestSet
from deblur_zoo.evaluation.runs import Result

PATTERN = r"[a-z]+_(?P<group>[a-z]+)_\d+"
NAMES = [f"crops/{gender}_{group}_{n:04d}" for group in ("asian", "black") for gender in ("female", "male")
         for n in (1, 2)]  # fmt: skip


def test_the_group_is_in_the_name():
    assert groups.groups_of(NAMES, PATTERN) == ["asian"] * 4 + ["black"] * 4
    by_gender = groups.groups_of(NAMES, r"(?P<group>[a-z]+)_.*")
    assert by_gender == ["female", "female", "male", "male"] * 2


@pytest.mark.parametrize(
    ("names", "pattern", "sentence"),
    [
        (["182659"], PATTERN, "182659"),
        ([*NAMES, "female_asian"], PATTERN, "female_asian"),
        ([*NAMES, "x_indian_1"], PATTERN, "indian has 1 faces; at least 3"),
        (NAMES, "(?P<group>", "regular expression"),
        (NAMES, ".*", "<group>"),
    ],
)
def test_names_and_patterns_that_say_no_group(names, pattern, sentence):
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        groups.groups_of(names, pattern)


def test_the_interval_of_normal_values_is_the_textbook_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = statistics.bootstrap_interval(values)
    assert found.mean == values.mean()
    # For 400 values of a normal distribution the bootstrap comes to Student's interval, to a twentieth of its width.
    low, high = stats.t.interval(0.95, 399, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose([found.low, found.high], [low, high], atol=0.05 * (high - low))
    assert statistics.bootstrap_interval(values) == found


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    """200 samples of 40 skewed values: 95 % of the intervals hold it, give or take what chance and skewness allow."""
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        found = statistics.bootstrap_interval(generator.gamma(4, 0.5, 40))
        held += found.low <= 2 <= found.high
    # Binomial with 200 and 0.95: 180 is 3.2 standard deviations below; 199 is 3 above.
    assert 180 <= held <= 199


def test_constant_values_and_too_few():
    assert statistics.bootstrap_interval([1.5] * 5) == statistics.Interval(1.5, 1.5, 1.5)
    with pytest.raises(ValueError, match="2 values"):
        statistics.bootstrap_interval([1.0])


def test_gains_count_each_face_once_in_its_group():
    """Six faces of two groups; the last of each group has two more pictures."""
    faces = [*"abcdef", *"ccff"]
    psnr = np.array([20.0, 21, 24, 23, 25, 30, 22, 26, 10, 5])
    test_set = TestSet("kernel_sizes", None, np.zeros((6, 8, 8, 3), np.uint8), list("abcdef"), list("abcdef"), None)

    def result(name, values):
        rows = pd.DataFrame({"pair": [f"p{i}" for i in range(10)], "face": faces, "group": "13", "psnr": values})
        return Result(Method(name, None, {}), test_set, rows)

    group_of = dict(zip("abcdef", ["x"] * 3 + ["y"] * 3, strict=True))
    table = groups.by_group_of_people([result(BLURRED_INPUT, np.full(10, 20.0)), result("ours", psnr)], group_of)
    rows = {row["group"]: row for row in table.numbers.to_dict("records")}
    assert list(rows) == ["x", "y"]
    for group, gains, worse in (("x", [0, 1, 4], 0), ("y", [3, 5, (10 - 10 - 15) / 3], 2 / 5)):
        expected = stats.bootstrap(
            (gains,), np.mean, n_resamples=9999, method="BCa", random_state=np.random.default_rng(0)
        ).confidence_interval
        row = rows[group]
        assert row["faces"] == 3 and row["made worse"] == worse and row["gain mean"] == pytest.approx(np.mean(gains))
        assert (row["gain low"], row["gain high"]) == pytest.approx((expected.low, expected.high))
    assert "ours: " in table.note and "x (3)" in table.shown.columns


def gains(**intervals):
    return {group: {"low": low, "high": high} for group, (low, high) in intervals.items()}


def test_the_sentence_says_whether_all_overlap():
    text = groups.overlap_sentence(gains(a=(1, 2), b=(1.5, 3), c=(1.8, 2.5)))
    assert text.startswith("all intervals overlap") and "+1.80" in text and "+2.00" in text
    # a and b overlap, and b and c, but not a and c.
    text = groups.overlap_sentence(gains(a=(1, 2), b=(1.5, 3), c=(2.2, 2.5)))
    assert text.startswith("not all") and "a ends at +2.00" in text and "c begins at +2.20" in text
    assert groups.overlap_sentence(gains(a=(1, 2), b=(2, 3))).startswith("all intervals overlap")
