import numpy as np
import pytest

from deblur_zoo.metrics.recognition import fold_accuracies, ranks


def test_ranks_by_hand():
    gallery, people = [[1, 0], [0, 2], [-1, 0], [1, 1]], ["a", "b", "c", "b"]
    # The first probe's cosines: a 0.96, b max(0.28, 0.88), c -0.96.
    probes = [[0.96, 0.28], [0.96, 0.28], [0.96, 0.28], [0, 0]]
    assert ranks(probes, ["a", "b", "c", "a"], gallery, people).tolist() == [1, 2, 3, 3]


def test_top_k_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    gallery = random.standard_normal((20, 8))
    people = random.integers(0, 20, 200)
    probes = gallery[people] + 1.5 * random.standard_normal((200, 8))
    found = ranks(probes, people, gallery, np.arange(20))
    cosines = metrics.pairwise.cosine_similarity(probes, gallery)
    for k in (1, 3, 5):
        assert np.mean(found <= k) == pytest.approx(metrics.top_k_accuracy_score(people, cosines, k=k))
    assert 0.2 < np.mean(found == 1) < 0.9


def test_a_person_outside_the_gallery_is_refused():
    with pytest.raises(ValueError, match="no picture of z"):
        ranks([[1, 0]], ["z"], [[1, 0]], ["a"])


def test_folds_by_hand():
    # Thresholds halfway between those of the other fold: 0.4, then 0.5.
    similarities, same = [0.3, 0.7, 0.2, 0.6], [False, True, False, True]
    np.testing.assert_allclose(fold_accuracies(similarities, same, [0, 0, 1, 1]), [1, 1])
    # Thresholds 0.4 and 0.7: 0.5 is wrongly called one person, 0.6 wrongly two.
    np.testing.assert_allclose(fold_accuracies([0.5, 0.9, 0.2, 0.6], same, [0, 0, 1, 1]), [0.5, 0.5])
    with pytest.raises(ValueError, match="two folds"):
        fold_accuracies(similarities, same, [0, 0, 0, 0])


def test_folds_by_trying_every_threshold_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    same, folds = random.random(300) < 0.5, np.arange(300) % 10
    similarities = np.round(random.normal(0.4 * same, 0.3), 2)  # with ties
    values = np.unique(similarities)
    expected = []
    for fold in range(10):
        test = folds == fold
        within = np.unique(similarities[~test])
        tried = [-np.inf, *(within[1:] + within[:-1]) / 2, np.inf]
        scores = [metrics.accuracy_score(same[~test], similarities[~test] >= threshold) for threshold in tried]
        expected.append(metrics.accuracy_score(same[test], similarities[test] >= tried[int(np.argmax(scores))]))
    np.testing.assert_allclose(fold_accuracies(similarities, same, folds), expected)
    assert len(values) < 200 and 0.6 < np.mean(expected) < 0.95
