"""The length of a known blur, with the perfect restoration."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data, transform

from deblur_zoo.blur.kernels import line_kernel
from deblur_zoo.restoration import blur_size
from deblur_zoo.restoration.blur_size import Blur, fit_blur, mismatch


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
    assert fit_blur(blurred, face - blurred).length == pytest.approx(length, rel=0.25)


def test_a_diagonal_motion_is_as_long(face):
    kernel = line_kernel(15, 45)
    blurred = np.stack([ndimage.convolve(face[..., c], kernel, mode="mirror") for c in range(3)], axis=-1)
    spread = _spread(kernel)
    assert fit_blur(blurred, face - blurred).length == pytest.approx(spread * np.sqrt(12), rel=0.25)


def _spread(kernel):
    """Standard deviation of a kernel along its longest direction."""
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]]
    points, weights = np.stack([x.ravel(), y.ravel()]), kernel.ravel().astype(float)
    return float(np.sqrt(np.linalg.eigvalsh(np.cov(points, aweights=weights, ddof=0)).max()))


def test_nothing_changed(face):
    assert fit_blur(face, np.zeros_like(face)).length == 0


def test_a_blur_explains_its_own_removal_and_no_other_change(face):
    """The Gaussian of a box of 15 pixels against that box, one turned by 90 degrees, and an overshoot without blur."""
    blurred, turned = (ndimage.uniform_filter1d(face, 15, axis=axis, mode="mirror") for axis in (1, 0))
    kernel = fit_blur(blurred, face - blurred).kernel()
    assert kernel.sum() == pytest.approx(1) and kernel.max(axis=0).argmax() == kernel.max(axis=1).argmax()
    assert mismatch(blurred, face - blurred, kernel) < 0.1
    assert mismatch(turned, face - turned, kernel) > 0.4
    overshoot = 0.5 * (face - ndimage.gaussian_filter(face, (1, 1, 0)))
    assert mismatch(face, overshoot, kernel) > 2
    # What is left out does not count: here the rest of the picture.
    mixed, change = np.concatenate([blurred, face]), np.concatenate([face - blurred, overshoot])
    assert mismatch(mixed, change, kernel) > 2 * mismatch(mixed, change, kernel, [(0, 128, 128, 256)])
    assert mismatch(mixed, change, kernel, [(0, 128, 128, 256)]) < 0.12


def test_rows_in_blocks_give_the_same_mismatch(face, monkeypatch):
    blurred = ndimage.uniform_filter1d(face, 9, axis=0, mode="mirror")
    kernel = fit_blur(blurred, face - blurred).kernel()
    boxes = [(-9.0, 15.2, 40, 70)]
    whole = mismatch(blurred, face - blurred, kernel, boxes)
    monkeypatch.setattr(blur_size, "_ROWS", 20)
    assert mismatch(lambda rows: blurred[rows], face - blurred, kernel, boxes) == pytest.approx(whole, rel=1e-4)
    assert mismatch(face, np.zeros_like(face), kernel) == np.inf


@pytest.mark.parametrize("enlargement", [0.5, 1, 2])
def test_the_kernel_has_the_spread_of_the_enlarged_picture(enlargement):
    kernel = Blur(spread=4, ratio=0.25, angle=0).kernel(enlargement)
    assert _spread(kernel) == pytest.approx(4 * enlargement, rel=0.03)
    assert _spread(kernel[:, len(kernel) // 2 :][:, :1]) == pytest.approx(max(0.3, enlargement), rel=0.1)
