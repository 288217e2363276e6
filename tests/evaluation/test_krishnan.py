import numpy as np
from scipy import ndimage
from skimage import data

from deblur_zoo.blur.kernels import line_kernel
from deblur_zoo.evaluation.baselines.krishnan import _shrunk, estimate_kernel, krishnan

PHOTO = data.astronaut()[20:148, 150:278].astype(np.float32) / 255


def similarity(kernel, other):
    """Largest normalised correlation over all shifts."""
    spectra = [np.fft.fft2(one, (64, 64)) for one in (kernel, other)]
    return np.fft.ifft2(spectra[0] * spectra[1].conj()).real.max() / np.linalg.norm(kernel) / np.linalg.norm(other)


def test_the_kernel_is_found_and_the_photo_gains():
    kernel = line_kernel(6, 60)
    blurred = np.stack([ndimage.convolve(PHOTO[..., c], kernel, mode="mirror") for c in range(3)], axis=-1)
    found = estimate_kernel(blurred.mean(axis=-1), 9, weight=10, kernel_weight=0.1)
    assert found.shape == (9, 9) and found.min() >= 0 and abs(found.sum() - 1) < 1e-9
    delta, flipped = np.ones((1, 1)), found[:, ::-1]
    assert similarity(kernel, found) > 0.7 > similarity(kernel, flipped) and similarity(kernel, delta) < 0.6
    restored = krishnan(blurred, size=9, weight=10, kernel_weight=0.1, image_weight=300)
    assert np.mean((restored - PHOTO) ** 2) < 0.95 * np.mean((blurred - PHOTO) ** 2)


def test_the_prior_shrinks_like_a_search_over_all_values():
    values = np.array([-0.5, -0.05, 0.0, 0.1, 0.4, 1.2])
    grid = np.linspace(-1.5, 1.5, 300_001)
    for balance in (2.0, 16.0):
        cost = np.abs(grid) ** 0.8 + balance / 2 * (grid - values[:, None]) ** 2
        np.testing.assert_allclose(_shrunk(values, balance), grid[cost.argmin(axis=1)], atol=0.02)
