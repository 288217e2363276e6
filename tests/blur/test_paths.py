import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deblur_zoo.blur import paths


def matern_covariance(t1, t2):
    """Matern-5/2 covariance, eq. (4) of the one-step paper, with l = 0.3 and sigma_f = 0.25."""
    distance = np.sqrt(5.0) * np.abs(np.asarray(t1) - np.asarray(t2)) / 0.3
    return 0.25**2 * (1 + distance + distance**2 / 3) * np.exp(-distance)


def test_matern_covariance_by_hand():
    # Distance l: (1 + sqrt(5) + 5/3) exp(-sqrt(5)) / 16 = 4.9027346 * 0.1068779 / 16.
    assert matern_covariance(0.0, 0.3) == pytest.approx(0.0327496, abs=1e-7)
    assert matern_covariance(1.2, 1.2) == pytest.approx(1 / 16)


def test_gaussian_process_has_exactly_the_covariance_of_equation_4():
    """Coordinates are linear in the normals: from unit vectors comes a factor L, and L L^T is the covariance."""
    length = 120
    unit_vectors = np.eye(3 * length).reshape(3 * length, length, 3)
    factor = paths.GaussianProcess.coordinates(unit_vectors).T
    times = 0.01 * np.arange(length)
    expected = matern_covariance(times[:, None], times[None, :])
    np.testing.assert_allclose(factor @ factor.T, expected, rtol=0, atol=1e-12)


def test_sample_covariance_of_drawn_coordinates():
    count = 6000
    generator = np.random.default_rng(20)
    drawn = [paths.GaussianProcess.draw(generator) for _ in range(count)]
    normals = np.stack([normals for _, normals in drawn])[:, :100]  # (count, T, 2, 3)
    x, y = (paths.GaussianProcess.coordinates(normals[:, :, axis]) for axis in (0, 1))
    times = 0.01 * np.arange(100)
    expected = matern_covariance(times[:, None], times[None, :])
    # The product of two zero-mean normals has variance k_ii k_jj + k_ij^2; a mean of n of them that over n.
    deviation = np.sqrt((1 / 16**2 + expected**2) / count)
    for coordinate in (x, y):
        sample = coordinate.T @ coordinate / count
        # 5,050 pairs, strongly dependent: five deviations are passed by chance less than once in 300 tries.
        assert np.abs((sample - expected) / deviation).max() < 5
    # The two coordinates are independent of each other.
    assert np.abs(x.T @ y / count).max() < 5 * (1 / 16) / np.sqrt(count)


def test_gaussian_process_lengths():
    generator = np.random.default_rng(3)
    lengths = [paths.GaussianProcess.draw(generator)[0] for _ in range(3000)]
    assert (min(lengths), max(lengths)) == (30, 200)
    # Uniform from 30 to 200: mean 115, deviation 49.4, of the mean 0.9.
    assert np.mean(lengths) == pytest.approx(115, abs=4.5)


def test_subdivision_is_on_the_segments():
    path = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 8.0]])
    expected = [[0.5, 0], [1.5, 0], [2.5, 0], [3.5, 0], [4, 1], [4, 3], [4, 5], [4, 7]]
    np.testing.assert_allclose(paths._subdivide(path, 4), expected)


def walk(parameters, steps=None, chances=1.0, perturbations=0.0, direction=(1.0, 0.0)):
    """A trajectory with chosen draws: parameters are exposure, anxiety, pull, tremor, shake as uniforms."""
    steps = steps or paths.CameraTrajectory.STEPS
    draws = (
        np.array(parameters, float),
        np.array(direction, float),
        np.broadcast_to(chances, (2, steps)),
        np.broadcast_to(perturbations, (2, steps)),
    )
    return paths.CameraTrajectory.follow([draws])[0]


def test_trajectory_without_forces_is_a_straight_line_of_the_exposure_length():
    points = walk([1.0, 1.0, 0.0, 0.0, 0.0], direction=(3.0, 4.0))
    length = 64 * (paths.CameraTrajectory.STEPS - 1) / paths.CameraTrajectory.STEPS
    np.testing.assert_allclose(points[-1], [0.6 * length, 0.8 * length], rtol=1e-9)
    assert np.linalg.norm(walk([0.0, 1.0, 0.0, 0.0, 0.0])[-1]) == pytest.approx(length / 4)


def test_trajectory_has_constant_speed_whatever_acts():
    generator = np.random.default_rng(1)
    points = paths.CameraTrajectory.follow([paths.CameraTrajectory.draw(generator) for _ in range(20)])
    for path in points:
        steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
        np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_trajectory_is_pulled_back_to_its_start():
    # Straight away, the pull only brakes, and speed is constant: a little sideways perturbation breaks the symmetry.
    sideways = np.zeros((2, paths.CameraTrajectory.STEPS))
    sideways[1, 10] = 10.0
    free = walk([1.0, 1.0, 0.0, 0.1, 0.0], perturbations=sideways)
    pulled = walk([1.0, 1.0, 1.0, 0.1, 0.0], perturbations=sideways)
    assert np.linalg.norm(free, axis=1).max() > 60
    assert np.linalg.norm(pulled, axis=1).max() < 30


def test_impulse_turns_the_trajectory_around():
    chances = np.ones((2, paths.CameraTrajectory.STEPS))
    chances[0, 500], chances[1, 500] = 0.0, 0.5  # an impulse at step 500, straight back
    points = walk([1.0, 1.0, 0.0, 0.0, 1.0], chances=chances)
    before, after = points[499] - points[498], points[503] - points[502]
    np.testing.assert_allclose(after, -before, atol=1e-12)
    # A second uniform of 1: twice the velocity, turned by pi and about half a radian more, is added.
    chances[1, 500] = 1.0
    points = walk([1.0, 1.0, 0.0, 0.0, 1.0], chances=chances)
    angle = np.pi + 2 * np.arctan(0.2554)
    turned = np.array([1 + 2 * np.cos(angle), 2 * np.sin(angle)])
    after = points[503] - points[502]
    np.testing.assert_allclose(after / np.linalg.norm(after), turned / np.linalg.norm(turned), atol=1e-9)


def test_trajectories_are_of_all_sorts():
    """From almost straight to tangled: path length over the farthest distance between two of its points."""
    generator = np.random.default_rng(7)
    drawn = paths.CameraTrajectory.follow([paths.CameraTrajectory.draw(generator) for _ in range(400)])
    tortuosity = []
    for path in drawn:
        sparse = path[::16]
        widest = np.linalg.norm(sparse[:, None] - sparse[None], axis=-1).max()
        tortuosity.append(np.linalg.norm(np.diff(path, axis=0), axis=1).sum() / widest)
    tenth, half, nine_tenths = np.percentile(tortuosity, [10, 50, 90])
    assert tenth < 1.5 and 1.5 < half < 5 and nine_tenths > 4


def test_rotation_of_the_camera_against_scipy():
    generator = np.random.default_rng(4)
    vectors, point = 0.05 * generator.standard_normal((50, 3)), np.array([0.2, -0.1, 1.0])
    # The quaternion (1, r / 2) turns by 2 atan(|r| / 2) about r.
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = Rotation.from_rotvec(vectors / norms * 2 * np.arctan(norms / 2)).apply(point)
    np.testing.assert_allclose(paths._rotate(vectors, point), exact, atol=1e-14)


def test_every_degree_of_freedom_moves_the_picture():
    """With pushes on one axis alone the projected point moves (roll and approach move it by its place off axis)."""
    parameters = np.full(19, 0.5)
    place = np.array([0.9, 0.2])
    pushes = np.random.default_rng(5).standard_normal(paths.ShakingCamera.BURN_IN + paths.ShakingCamera.STEPS)
    for axis in range(6):
        single = np.zeros((6, len(pushes)))
        single[axis] = pushes
        path = paths.ShakingCamera.follow([(parameters, place, single)])[0]
        assert np.ptp(path, axis=0).max() > 1e-4, axis
    still = paths.ShakingCamera.follow([(parameters, place, np.zeros((6, len(pushes))))])[0]
    np.testing.assert_allclose(still, np.broadcast_to(0.6 * (place - 0.5), still.shape), atol=1e-15)


def test_camera_at_rest_shakes_as_strongly_as_it_says():
    """The damped spring's stationary deviation: a rotation about y of deviation s moves a point on the axis by s."""
    generator = np.random.default_rng(6)
    draws = []
    for _ in range(600):
        parameters, _, pushes = paths.ShakingCamera.draw(generator)
        parameters[1:13] = 1.0  # 10 Hz, critically damped: at rest after the burn-in
        parameters[13:19] = 1.0
        pushes[[0, 2, 3, 4, 5]] = 0.0
        draws.append((parameters, np.array([0.5, 0.5]), pushes))
    x = np.stack(paths.ShakingCamera.follow(draws))[:, 0, 0]
    # 600 samples: the deviation's own relative error is 2.9 %; the step of the burn-in adds up to 6 %.
    assert x.std() == pytest.approx(0.012, rel=0.15)


def test_lines_are_straight_and_point_everywhere():
    generator = np.random.default_rng(8)
    lines = paths.StraightLine.follow([paths.StraightLine.draw(generator) for _ in range(400)])
    ends = np.stack([line[-1] - line[0] for line in lines])
    for line in lines[:20]:
        np.testing.assert_allclose(np.diff(line, axis=0), np.broadcast_to(line[1] - line[0], (1023, 2)), atol=1e-12)
    counts = np.histogram(np.arctan2(ends[:, 1], ends[:, 0]), bins=8, range=(-np.pi, np.pi))[0]
    # 50 expected in each eighth, deviation 6.6.
    assert counts.min() > 20 and counts.max() < 85
