"""Random paths that an image point takes on the sensor while the shutter is open, one class per model.

Every model has ``draw(generator)``, which draws a fixed amount of random numbers for one path, and ``follow(draws)``,
which turns the draws of B paths into B arrays of points (T, 2), columns x and y, in arbitrary units (kernels are scaled
later). Each point represents an equal share of the exposure, so slow parts of a path are bright.

Only additions, multiplications, divisions and square roots are used, which IEEE 754 fixes to the last bit, and
constants computed in decimal, so the same draws give the same path on every machine. (NumPy's sines, exponentials and
matrix products may differ in the last bits between CPUs.)
"""

from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np

# The length scale l and sigma_f of Schuler et al. 2016 for eq. (4) of the one-step paper.
MATERN_LENGTH = 0.3
MATERN_SIGMA = 0.25
MATERN_STEP = 0.01


@lru_cache
def _matern_recursion():
    """Transition and noise factors of the Matern-5/2 process at its step, and the factor of its stationary state.

    The process is the stationary solution of (d/dt + a)^3 x = white noise, a = sqrt(5) / l (Hartikainen and Sarkka
    2010), so its value, velocity and acceleration form a Markov chain: exact samples without the ill-conditioned
    Cholesky factor of the full covariance. The state is (x, x'/a, x''/a^2) with sigma = 1.
    """
    with localcontext() as context:
        context.prec = 60
        h = Decimal(5).sqrt() * Decimal(str(MATERN_STEP)) / Decimal(str(MATERN_LENGTH))
        # exp(F h) for F = [[0, 1, 0], [0, 0, 1], [-1, -3, -3]]: (F + 1)^3 = 0, so exp((F + 1) h) is a finite sum.
        nilpotent = [[Decimal(v) for v in row] for row in ((1, 1, 0), (0, 1, 1), (-1, -3, -2))]
        square = _product(nilpotent, nilpotent)
        decay = (-h).exp()
        transition = [
            [decay * ((i == j) + h * nilpotent[i][j] + h * h / 2 * square[i][j]) for j in range(3)] for i in range(3)
        ]
        third = Decimal(1) / 3
        stationary = [
            [Decimal(1), Decimal(0), -third],
            [Decimal(0), third, Decimal(0)],
            [-third, Decimal(0), Decimal(1)],
        ]
        carried = _product(_product(transition, stationary), [list(column) for column in zip(*transition, strict=True)])
        noise = [[stationary[i][j] - carried[i][j] for j in range(3)] for i in range(3)]
        factors = transition, _cholesky(noise), _cholesky(stationary)
    return tuple(np.array([[float(v) for v in row] for row in matrix]) for matrix in factors)


def _product(a, b):
    return [[sum(a[i][k] * b[k][j] for k in range(3)) for j in range(3)] for i in range(3)]


def _cholesky(matrix):
    factor = [[Decimal(0)] * 3 for _ in range(3)]
    for i in range(3):
        for j in range(i + 1):
            rest = matrix[i][j] - sum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = rest.sqrt() if i == j else rest / factor[j][j]
    return factor


def _apply(matrix, vector):
    """Matrix (3, 3) times vector (..., 3), summed in a fixed order."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    return np.stack([row[0] * x + row[1] * y + row[2] * z for row in matrix], axis=-1)


class GaussianProcess:
    """Both coordinates follow a Gaussian process (one-step paper, section 3.1, eq. 4), sampled every 0.01.

    The number of samples is uniform from 30 to 200: from 1 to almost 7 length scales. The paper says "control sampling
    length N" without numbers. Samples are joined by straight lines (``POINTS_BETWEEN`` points per segment).
    """

    SHORTEST, LONGEST = 30, 200
    POINTS_BETWEEN = 16

    @classmethod
    def draw(cls, generator):
        samples = cls.SHORTEST + int(generator.random() * (cls.LONGEST - cls.SHORTEST + 1))
        return samples, generator.standard_normal((cls.LONGEST, 2, 3))

    @staticmethod
    def coordinates(normals):
        """Exact samples of the process.

        Args:
            normals: (..., T, 3) independent standard normals.

        Returns:
            (..., T): values at times 0, 0.01, ..., with the Matern-5/2 covariance of eq. (4).
        """
        transition, noise, stationary = _matern_recursion()
        state = _apply(stationary, normals[..., 0, :])
        values = [state[..., 0]]
        for step in range(1, normals.shape[-2]):
            state = _apply(transition, state) + _apply(noise, normals[..., step, :])
            values.append(state[..., 0])
        return MATERN_SIGMA * np.stack(values, axis=-1)

    @classmethod
    def follow(cls, draws):
        normals = np.stack([normals for _, normals in draws])  # (B, T, 2, 3)
        values = np.moveaxis(cls.coordinates(np.moveaxis(normals, 1, 2)), 1, 2)  # (B, T, 2)
        return [
            _subdivide(path[:samples], cls.POINTS_BETWEEN) for path, (samples, _) in zip(values, draws, strict=True)
        ]


def _subdivide(path, parts):
    fraction = (np.arange(parts) + 0.5)[None, :, None] / parts
    return (path[:-1, None, :] + fraction * (path[1:] - path[:-1])[:, None, :]).reshape(-1, 2)


class CameraTrajectory:
    """A particle's walk in the plane after Boracchi and Foi 2012, as Kupyn et al. 2018 use it.

    The particle moves at constant speed for one exposure. At each step its velocity changes by a Gaussian
    perturbation (tremor), by a pull towards its start (inertia of a hand that holds still), and, rarely, by an
    impulse that reverses it (the shutter button, or a jerk back); then it is rescaled to the constant speed, so equal
    exposures give equal lengths. The random parameters have the ranges of Boracchi and Foi's walk of 2,000 steps over
    64 pixels, except that the anxiety, constant there, varies here, and so does the exposure (a share of 64 pixels),
    from almost straight lines to tangles.
    """

    STEPS = 1024
    REFERENCE_STEPS, REFERENCE_LENGTH = 2000, 64.0

    @classmethod
    def draw(cls, generator):
        return (
            generator.random(5),
            generator.standard_normal(2),
            generator.random((2, cls.STEPS)),
            generator.standard_normal((2, cls.STEPS)),
        )

    @classmethod
    def follow(cls, draws):
        parameters, direction, chances, perturbations = (np.stack(part) for part in zip(*draws, strict=True))
        exposure = 0.25 + 0.75 * parameters[:, 0]
        anxiety = 0.001 + 0.009 * parameters[:, 1]
        pull = 0.7 * parameters[:, 2] * anxiety
        tremor = 10 * parameters[:, 3] * anxiety
        shake = 0.2 * parameters[:, 4] * anxiety
        # One step here covers this many steps of the reference walk: drifts and probabilities grow with it, the
        # standard deviation of noise with its square root.
        share = exposure * cls.REFERENCE_STEPS / cls.STEPS
        length = exposure * cls.REFERENCE_LENGTH / cls.STEPS
        pull, shake, tremor = pull * share, shake * share, tremor * np.sqrt(share)

        # Steps first, so that each step reads adjacent memory.
        chances, perturbations = (np.ascontiguousarray(part.transpose(2, 1, 0)) for part in (chances, perturbations))
        tremors = tremor * perturbations
        # An impulse adds twice the velocity, reversed give or take half a radian: t is tan(angle / 2).
        t = 0.5108 * (chances[:, 1] - 0.5)
        strength = np.where(chances[:, 0] < shake, 2.0, 0.0)
        cosines, sines = -strength * ((1 - t * t) / (1 + t * t)), -strength * (2 * t / (1 + t * t))

        vx, vy = _unit(direction[:, 0], direction[:, 1])
        x = y = np.zeros(len(draws))
        points = np.empty((cls.STEPS, 2, len(draws)))
        for step in range(cls.STEPS):
            points[step] = x, y
            cosine, sine = cosines[step], sines[step]
            dx = tremors[step, 0] - pull * x + (cosine * vx - sine * vy)
            dy = tremors[step, 1] - pull * y + (sine * vx + cosine * vy)
            vx, vy = _unit(vx + dx, vy + dy)
            x, y = x + length * vx, y + length * vy
        return list(points.transpose(2, 0, 1))


def _unit(x, y):
    norm = np.sqrt(x * x + y * y)
    return x / norm, y / norm


class ShakingCamera:
    """Path of one scene point seen by a camera that shakes in all six degrees of freedom (our own model).

    Three rotations and three translations are each a mass on a damped spring (the hand) driven by white noise: natural
    frequency 1 to 10 Hz, damping ratio 0.2 to 1, exposure 1/20 to 1/2 second, starting in motion. Rotations are about
    a degree and translations about a centimetre over a distance of 1 m; the point is off the optical axis, so that
    roll and approach move it too. It is projected by a pinhole camera of focal length 1.
    """

    STEPS = 512
    BURN_IN = 128

    @classmethod
    def draw(cls, generator):
        return (
            generator.random(1 + 6 + 6 + 6),
            generator.random(2),
            generator.standard_normal((6, cls.BURN_IN + cls.STEPS)),
        )

    @classmethod
    def follow(cls, draws):
        parameters, place, pushes = (np.stack(part) for part in zip(*draws, strict=True))
        exposure = 0.05 + 0.45 * parameters[:, :1]
        step = exposure / cls.STEPS
        frequency = 6.283185307179586 * (1 + 9 * parameters[:, 1:7])
        damping = 0.2 + 0.8 * parameters[:, 7:13]
        strength = (0.2 + 0.8 * parameters[:, 13:19]) * np.array([0.012, 0.012, 0.02, 0.006, 0.006, 0.01])
        # Before the shutter opens the hand is already shaking: a burn-in of 0.25 s with its own step.
        before = np.full_like(step, 0.25 / cls.BURN_IN)
        motion = np.zeros((len(draws), 6))
        speed = np.zeros_like(motion)
        poses = np.empty((len(draws), cls.STEPS, 6))
        for index in range(cls.BURN_IN + cls.STEPS):
            h = before if index < cls.BURN_IN else step
            # White noise scaled so that the spring's motion has a standard deviation of ``strength``.
            noise = 2 * strength * frequency * np.sqrt(damping * frequency * h) * pushes[:, :, index]
            # Damping is implicit and the position uses the new speed: stable while frequency * h is below 2.
            speed = (speed - h * frequency * frequency * motion + noise) / (1 + 2 * damping * frequency * h)
            motion = motion + h * speed
            if index >= cls.BURN_IN:
                poses[:, index - cls.BURN_IN] = motion
        # Up to 17 degrees off the axis in both directions, at distance 1.
        point = np.stack([0.6 * (place[:, 0] - 0.5), 0.6 * (place[:, 1] - 0.5), np.ones(len(draws))], axis=-1)
        moved = _rotate(poses[..., :3], point[:, None, :]) + poses[..., 3:]
        return list(moved[..., :2] / moved[..., 2:])


def _rotate(rotation, point):
    """Rotate points by the unit quaternion along (1, rotation / 2): ``rotation`` is axis times angle, if small."""
    x, y, z = rotation[..., 0] / 2, rotation[..., 1] / 2, rotation[..., 2] / 2
    px, py, pz = point[..., 0], point[..., 1], point[..., 2]
    tx, ty, tz = 2 * (y * pz - z * py), 2 * (z * px - x * pz), 2 * (x * py - y * px)
    norm = 1 + x * x + y * y + z * z
    return np.stack(
        [
            px + (tx + (y * tz - z * ty)) / norm,
            py + (ty + (z * tx - x * tz)) / norm,
            pz + (tz + (x * ty - y * tx)) / norm,
        ],
        axis=-1,
    )


class StraightLine:
    """A straight line in a random direction at constant speed."""

    STEPS = 1024

    @staticmethod
    def draw(generator):
        return generator.standard_normal(2)

    @classmethod
    def follow(cls, draws):
        time = (np.arange(cls.STEPS) + 0.5) / cls.STEPS
        return [time[:, None] * np.stack(_unit(*draw))[None, :] for draw in draws]
