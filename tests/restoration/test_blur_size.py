"""The length of a known blur, with the perfect restoration."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data, transform

from deblur_zoo.blur.kernels import line_kernel
from deblur_zoo.restoration.blur_size import blur_length


@pytest.fixture(scope="module")
def face():
    return transform.resize(data.astronaut()[60:200, 155:295] / 255, (128, 128, 3), anti_aliasing=True).astype(
        "float32"
    )


@pytest.mark.parametrize("length", [5, 9, 15, 23])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_straight_motion(face, length, axis):
    blurred = ndimage.uniform_filter1d(face, length, axis=axis, mode="mirror")
    # A Gaussian stands for a box, and the crop's border is mirrored: a quarter of the length.
    assert blur_length(blurred, face - blurred) == pytest.approx(length, rel=0.25)


def test_a_diagonal_motion_is_as_long(face):
    kernel = line_kernel(15, 45)
    blurred = np.stack([ndimage.convolve(face[..., c], kernel, mode="mirror") for c in range(3)], axis=-1)
    spread = _spread(kernel)
    assert blur_length(blurred, face - blurred) == pytest.approx(spread * np.sqrt(12), rel=0.25)


def _spread(kernel):
    """Standard deviation of a kernel along its longest direction."""
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]]
    points, weights = np.stack([x.ravel(), y.ravel()]), kernel.ravel().astype(float)
    return float(np.sqrt(np.linalg.eigvalsh(np.cov(points, aweights=weights, ddof=0)).max()))


def test_nothing_changed(face):
    assert blur_length(face, np.zeros_like(face)) == 0
