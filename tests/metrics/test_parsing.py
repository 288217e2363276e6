"""F-scores by hand, and against precision and recall of sets of pixels."""

import numpy as np
import pytest

from deblur_zoo.metrics import parsing


def test_confusion_and_f_score_by_hand():
    truth = np.array([[1, 1, 1, 0], [2, 2, 255, 255]])
    estimate = np.array([[1, 1, 0, 0], [2, 1, 2, 9]])
    counts = parsing.confusion(truth, estimate)
    assert counts.sum() == 6, "unknown pixels do not count"
    assert counts[1, 1] == 2 and counts[1, 0] == 1 and counts[2, 1] == 1 and counts[2, 2] == 1
    scores = parsing.f_scores(counts)
    # Skin: two hits, one pixel missed, one too many: 4 / 6. Left brow: one hit, one missed: 2 / 3.
    assert scores[1] == pytest.approx(4 / 6)
    assert scores[2] == pytest.approx(2 / 3)
    assert scores[0] == pytest.approx(2 / 3)
    # The label 9 was given to an unknown pixel alone.
    assert np.isnan(scores[9]) and np.isnan(scores[4])


def test_f_scores_equal_those_of_sets():
    rng = np.random.default_rng(0)
    truth, estimate = rng.integers(0, 11, (2, 3, 20, 20))
    counts = sum(parsing.confusion(one, other) for one, other in zip(truth, estimate, strict=True))
    for label, score in enumerate(parsing.f_scores(counts)):
        one, other = (set(zip(*np.nonzero(labels == label), strict=True)) for labels in (truth, estimate))
        precision, recall = len(one & other) / len(other), len(one & other) / len(one)
        assert score == pytest.approx(2 * precision * recall / (precision + recall))


def test_component_table_and_its_average():
    counts = np.zeros((11, 11), int)
    counts[1, 1], counts[4, 4], counts[5, 4], counts[0, 0] = 7, 1, 1, 100
    table = parsing.component_scores(counts)
    # Background is no component; a right eye taken for a left one scores 0; what is nowhere is not averaged.
    assert table["face"] == 1.0 and table["right_eye"] == 0.0
    assert table["left_eye"] == pytest.approx(2 / 3)
    assert np.isnan(table["teeth"])
    assert table["average"] == pytest.approx((1 + 0 + 2 / 3) / 3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="must be equal"):
        parsing.confusion(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="estimate has the label 255"):
        parsing.confusion(np.zeros((2, 2), int), np.full((2, 2), 255))
