"""Random blur kernels and banks of them, in NumPy.

A kernel is a non-negative square float32 array of rows y and columns x that sums to 1, to be used in a true convolution
(``deblur_zoo.blur.convolution``). Kinds:

- ``trajectory``: a shaking particle in the plane (Boracchi and Foi 2012; used by Shen et al. 2020, Kupyn et al. 2018);
- ``gaussian_process``: both coordinates are Gaussian processes (eq. 4 of the one-step paper; Schuler et al. 2016);
- ``camera``: a camera that shakes in six degrees of freedom, projected to the image plane (our own);
- ``linear``: straight lines.

A kernel of size s is scaled so that its path fills the s x s square, measured from its centre of mass: the mean of
the path is ``rasterization.mass_centre(s)`` and its farthest point is on the first or last row or column.
"""

import math

import numpy as np

from deblur_zoo.blur.kernel_bank import SPLITS, KernelBank, count_shared
from deblur_zoo.blur.paths import CameraTrajectory, GaussianProcess, ShakingCamera, StraightLine
from deblur_zoo.blur.rasterization import fit, rasterize

__all__ = [
    "DEFAULT_SIZES",
    "KINDS",
    "SHEN_SIZES",
    "KernelBank",
    "count_shared",
    "line_kernel",
    "make_bank",
    "random_kernel",
    "standard_banks",
]

_MODELS = {
    "gaussian_process": GaussianProcess,
    "trajectory": CameraTrajectory,
    "camera": ShakingCamera,
    "linear": StraightLine,
}
KINDS = tuple(_MODELS)
# Part of every seed: never renumber.
_KIND_CODES = {"gaussian_process": 1, "trajectory": 2, "camera": 3, "linear": 4}
_SPLIT_CODES = {"train": 1, "test": 2}

SHEN_SIZES = tuple(range(13, 28, 2))
DEFAULT_SIZES = {
    "gaussian_process": tuple(range(8, 21)),
    "trajectory": SHEN_SIZES,
    "camera": SHEN_SIZES,
    "linear": SHEN_SIZES,
}
SMALLEST_SIZE = 3
# The longer side of a path's box, as a share of the square's side. Paths that extend so far to one side of their centre
# of mass that they fill less of the square are redrawn.
SMALLEST_SPAN = 0.75
_BATCH = 512


def _check_kind(kind):
    if kind not in _MODELS:
        raise ValueError(f"Unknown kernel kind {kind!r}; accepted: {', '.join(KINDS)}.")


def _check_size(size):
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < SMALLEST_SIZE:
        raise ValueError(f"A kernel's size must be a whole number of pixels >= {SMALLEST_SIZE}, got {size!r}.")


def _kernels(kind, sizes, generators):
    """One kernel for each size and generator; each depends on its own generator only."""
    model = _MODELS[kind]
    kernels = [None] * len(sizes)
    pending = range(len(sizes))
    while pending:
        paths = model.follow([model.draw(generators[index]) for index in pending])
        redraw = []
        for index, path in zip(pending, paths, strict=True):
            size = int(sizes[index])
            points = fit(path, size)
            span = (points.max(axis=0) - points.min(axis=0)).max()
            if span < SMALLEST_SPAN * (size - 1):
                redraw.append(index)
            else:
                kernels[index] = rasterize(points, size)
        pending = redraw
    return kernels


def random_kernel(kind, size, generator):
    """One random blur kernel.

    Args:
        kind: one of ``KINDS``.
        size: side in pixels, int >= 3, odd or even.
        generator: ``numpy.random.Generator``; the kernel depends only on its state.

    Returns:
        (size, size) float32, >= 0, sum exactly 1; its mean is within 0.01 pixel of ``rasterization.mass_centre``.

    Raises:
        ValueError: unknown kind, or a size that is not an integer >= 3.
    """
    _check_kind(kind)
    _check_size(size)
    return _kernels(kind, [size], [generator])[0]


def line_kernel(length, angle_degrees):
    """Motion along a straight line at constant speed.

    Args:
        length: distance between the ends in pixels, > 0.
        angle_degrees: direction from the x axis, counter-clockwise as seen in the image (y grows downwards).

    Returns:
        (s, s) float32, sum exactly 1, s the smallest odd size that fits the line.
    """
    if not (math.isfinite(length) and length > 0):
        raise ValueError(f"A line's length must be a number of pixels above 0, got {length!r}.")
    angle = math.radians(angle_degrees)
    time = (np.arange(StraightLine.STEPS) + 0.5) / StraightLine.STEPS - 0.5
    points = length * time[:, None] * np.array([math.cos(angle), -math.sin(angle)])
    # Rounded to the rasterizer's grid first: cos(90 degrees) is not quite 0.
    half = math.ceil(round(256 * float(np.abs(points).max())) / 256)
    return rasterize(points + half, 2 * half + 1)


def make_bank(kind, count, sizes=None, seed=0, split="train", progress=None):
    """A bank of random kernels that is the same on every machine.

    Kernel i has size ``sizes[i % len(sizes)]`` and is drawn from PCG64 seeded only with (seed, split, kind, i), so a
    larger bank of the same sizes begins with the smaller one, and train and test banks never share a stream.

    Args:
        kind: one of ``KINDS``.
        count: number of kernels, >= 1.
        sizes: sequence of ints >= 3; None for ``DEFAULT_SIZES[kind]``.
        seed: int >= 0.
        split: "train" or "test".
        progress: function called with the number of kernels made since the last call, or None.

    Returns:
        ``KernelBank``.

    Raises:
        ValueError: an argument out of these ranges.
    """
    _check_kind(kind)
    sizes = DEFAULT_SIZES[kind] if sizes is None else tuple(sizes)
    if not sizes:
        raise ValueError("A kernel bank needs at least one kernel size.")
    for size in sizes:
        _check_size(size)
    if count < 1:
        raise ValueError(f"A kernel bank needs at least one kernel, got count {count}.")
    if seed < 0:
        raise ValueError(f"A kernel bank's seed must be at least 0, got {seed}.")
    if split not in SPLITS:
        raise ValueError(f"A kernel bank's split must be one of {', '.join(SPLITS)}, got {split!r}.")
    kernels = []
    while len(kernels) < count:
        indices = range(len(kernels), min(len(kernels) + _BATCH, count))
        entropies = [[seed, _SPLIT_CODES[split], _KIND_CODES[kind], index] for index in indices]
        generators = [np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy))) for entropy in entropies]
        kernels += _kernels(kind, [sizes[index % len(sizes)] for index in indices], generators)
        if progress is not None:
            progress(len(indices))
    return KernelBank.from_kernels(kernels, kind, seed, split)


def standard_banks(seed=0, progress=None):
    """Banks as in Shen et al. 2020, section 3.6: camera trajectories of sizes 13, 15, ..., 27.

    Returns:
        (train, test): 20,000 and 80 kernels (2,500 and 10 of each size), with none in common.
    """
    train = make_bank("trajectory", 20_000, SHEN_SIZES, seed, "train", progress)
    return train, standard_test_bank(seed, progress)


def standard_test_bank(seed=0, progress=None):
    """The test bank of ``standard_banks`` alone: 80 kernels, 10 of each size."""
    return make_bank("trajectory", 80, SHEN_SIZES, seed, "test", progress)
