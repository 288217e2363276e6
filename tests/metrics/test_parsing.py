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
    with pytest.raises(ValueError, match="same shape"):
        parsing.confusion(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="estimate .*255"):
        parsing.confusion(np.zeros((2, 2), int), np.full((2, 2), 255))


def random_pair(seed):
    """Two label maps that agree on six pixels in ten; the left eye (4) and the teeth (8) are nowhere in the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 2, 3, 5, 6, 7, 9, 10, parsing.UNKNOWN], (3, 12, 14)).astype(np.uint8)
    estimate = np.where((rng.random(truth.shape) < 0.6) & (truth != parsing.UNKNOWN), truth, 0)
    noise = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 9, 10], truth.shape)
    return truth, np.where(rng.random(truth.shape) < 0.2, noise, estimate).astype(np.uint8)


def set_f_score(truth, estimate, group):
    known = truth != parsing.UNKNOWN
    one, other = (set(zip(*np.nonzero(known & np.isin(labels, group)), strict=True)) for labels in (truth, estimate))
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else np.nan


def test_groups_by_hand():
    counts = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    # Classes 1 and 2 together: three true pixels, four called so, all three right among them. Class 3 is nowhere.
    np.testing.assert_allclose(parsing.f_scores(counts, [(1, 2), (0, 3), (3,)]), [6 / 7, 2 / 3, np.nan])


def test_groups_equal_those_of_sets():
    truth, estimate = random_pair(0)
    counts = parsing.confusion(truth, estimate)
    scores = parsing.group_scores(counts)
    assert list(scores) == ["brows", "eyes", "mouth", "class-1", "class-2", "class-3", "class-4"]
    for name, group in {**parsing.MERGED, **parsing.UMSN_CLASSES}.items():
        assert scores[name] == pytest.approx(set_f_score(truth, estimate, group)), name
    alone = [set_f_score(truth, estimate, [label]) for label in range(11)]
    np.testing.assert_allclose(parsing.f_scores(counts, [(label,) for label in range(11)]), alone)
    np.testing.assert_allclose(parsing.f_scores(counts), alone)
    assert np.isnan(alone[8]) and alone[4] == 0


def test_against_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    truth, estimate = random_pair(1)
    known = truth != parsing.UNKNOWN
    labels = list(range(11))
    counts = parsing.confusion(truth, estimate)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(truth[known], estimate[known], labels=labels))
    expected = metrics.f1_score(truth[known], estimate[known], labels=labels, average=None, zero_division=np.nan)
    np.testing.assert_allclose(parsing.f_scores(counts), expected)


def test_no_face_and_no_such_group():
    assert all(np.isnan(score) for score in parsing.group_scores(np.zeros((11, 11), int)).values())
    for groups in ([(11,)], [(-1,)], [()]):
        with pytest.raises(ValueError, match="0 to 10"):
            parsing.f_scores(np.eye(11), groups)
