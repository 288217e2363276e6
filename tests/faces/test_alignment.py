import numpy as np
import pytest
from skimage.transform import estimate_transform

from deblur_zoo.faces.alignment import CANONICAL_POINTS, canonical_points, similarity_transform


def apply(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_canonical_points_in_pixels():
    # 0.345 * 128 and so on, by hand.
    expected = [[44.16, 42.88], [83.84, 42.88], [64, 70.4], [48, 83.2], [80, 83.2]]
    np.testing.assert_allclose(canonical_points(), expected, atol=1e-9)
    np.testing.assert_allclose(canonical_points(256, 10), 2 * np.array(expected) + 10, atol=1e-9)


def test_known_rotation_scale_and_shift_are_found():
    # 90 degrees from x to y, twice the size, shifted by (5, -1): (x, y) -> (-2y + 5, 2x - 1).
    target = np.stack([-2 * CANONICAL_POINTS[:, 1] + 5, 2 * CANONICAL_POINTS[:, 0] - 1], axis=1)
    matrix = similarity_transform(CANONICAL_POINTS, target)
    np.testing.assert_allclose(matrix, [[0, -2, 5], [2, 0, -1]], atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_least_squares_agrees_with_scikit_image(seed):
    generator = np.random.default_rng(seed)
    source = generator.uniform(0, 200, (5, 2))
    target = canonical_points() + generator.normal(0, 5, (5, 2))
    other = estimate_transform("similarity", source, target)
    residual = np.square(apply(similarity_transform(source, target), source) - target).sum()
    # scikit-image allows no reflection either; both minimise the same sum.
    np.testing.assert_allclose(similarity_transform(source, target), other.params[:2], atol=1e-8)
    for nudge in np.eye(6).reshape(6, 2, 3) * 1e-4:
        angle_and_scale = nudge[0, :2]
        moved = similarity_transform(source, target)
        moved[:, :2] += [[angle_and_scale[0], -angle_and_scale[1]], [angle_and_scale[1], angle_and_scale[0]]]
        moved[:, 2] += nudge[:, 2]
        assert np.square(apply(moved, source) - target).sum() >= residual


def test_mirrored_points_do_not_give_a_mirror():
    matrix = similarity_transform(CANONICAL_POINTS * [-1, 1], CANONICAL_POINTS)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_coinciding_points_are_refused():
    with pytest.raises(ValueError, match="coincide"):
        similarity_transform(np.ones((5, 2)), CANONICAL_POINTS)
