import numpy as np
import pytest
from scipy import integrate, stats

from deblur_zoo.metrics.landmarks import area_under_curve, failure_rate, landmark_error

SQUARE = np.array([[0, 0], [30, 0], [0, 40], [30, 40]])  # diagonal 50


def test_error_by_hand():
    shifted = SQUARE + [3, 4]  # every point 5 pixels away: 0.1
    one_off = SQUARE.copy()
    one_off[2] = [0, 60]  # one point of four 20 away: 5 / 50
    lost = np.full((4, 2), np.nan)
    found = landmark_error([SQUARE] * 4, [SQUARE, shifted, one_off, lost])
    np.testing.assert_allclose(found, [0, 0.1, 0.1, np.inf])


def test_area_and_failures_by_hand():
    errors = [0, 0.02, 0.04, 0.08, 0.1, np.inf]
    # (1 + 0.75 + 0.5 + 0 + 0 + 0) / 6; an error of exactly 0.08 is no failure.
    assert area_under_curve(errors) == pytest.approx(0.375)
    assert failure_rate(errors) == pytest.approx(2 / 6)


def test_area_equals_scipys_curve_integrated():
    errors = np.random.default_rng(0).exponential(0.05, 300)
    curve = stats.ecdf(errors).cdf
    x = np.linspace(0, 0.08, 200_001)
    assert area_under_curve(errors) == pytest.approx(integrate.trapezoid(curve.evaluate(x), x) / 0.08, abs=1e-5)


def test_area_equals_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    errors = np.sort(np.random.default_rng(1).exponential(0.05, 40))
    within = errors[errors < 0.08]
    # The curve's corners: it rises by one face at each error.
    x = np.concatenate([[0], within.repeat(2), [0.08]])
    y = np.concatenate([[0], np.arange(2 * len(within)) + 1, [2 * len(within)]]) // 2 / len(errors)
    assert 0.1 < area_under_curve(errors) == pytest.approx(metrics.auc(x, y) / 0.08)


def test_wrong_points_are_refused():
    with pytest.raises(ValueError, match="points"):
        landmark_error(np.zeros((1, 4, 2)), np.zeros((1, 5, 2)))
    with pytest.raises(ValueError, match="span"):
        landmark_error(np.zeros((1, 4, 2)), np.zeros((1, 4, 2)))
