"""Every trained preset restores a face that it has not seen, under a small, a middle and a large camera shake."""

import numpy as np
import pytest
from scipy.ndimage import convolve
from skimage.metrics import peak_signal_noise_ratio

import deblur_zoo
from deblur_zoo.blur.rasterization import rasterize
from deblur_zoo.files import pictures
from examples.demo import SHARP

# Sides of the kernels in pixels. The shake is half a turn of a spiral.
SIZES = (9, 17, 25)
TRAINED = deblur_zoo.list_models(kind="deblurrer", trained=True)
# The gain in PSNR at each size in dB, as measured with the shipped weights. One that is 0.2 dB lower fails, and for a
# preset without a row one that is a loss.
GAINS = {
    "enhancement_gan": (3.12, 4.79, 5.69),
    "enhancement_gan_lite": (2.93, 4.44, 5.37),
    "one_step": (3.94, 5.25, 5.83),
    "one_step_lite": (3.53, 5.16, 5.71),
    "semantic_face": (2.93, 4.79, 5.10),
    "semantic_face_lite": (2.42, 4.44, 4.90),
    "two_step_gan": (3.37, 5.15, 5.00),
    "two_step_gan_lite": (3.09, 4.93, 4.93),
    "umsn": (3.63, 5.33, 5.22),
    "umsn_lite": (3.00, 5.00, 5.28),
}


def blurred_face(size):
    """The sharp face and the blurred one with 1 % of noise, uint8 (128, 128, 3)."""
    sharp = pictures.read(SHARP)
    turn = np.linspace(0, np.pi, 1000)
    spiral = (0.25 + turn / np.pi)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    spiral = 0.4 * size * spiral / np.ptp(spiral, axis=0).max()
    kernel = rasterize(2 * (spiral - spiral.mean(axis=0)) + size // 2, size)
    picture = np.stack([convolve(plane / 255, kernel, mode="mirror") for plane in np.moveaxis(sharp, -1, 0)], axis=-1)
    noise = np.random.RandomState(size).normal(0, 0.01, picture.shape)
    return sharp, np.rint(255 * np.clip(picture + noise, 0, 1)).astype(np.uint8)


def test_every_row_is_of_a_trained_preset():
    assert set(GAINS) <= set(TRAINED)


def test_the_faces_are_blurred_as_much_as_when_the_table_was_measured():
    """Else the table is about other pictures. The levels' rounding and the noise move these by a hundredth."""
    found = [peak_signal_noise_ratio(*blurred_face(size)) for size in SIZES]
    np.testing.assert_allclose(found, [23.92, 20.16, 17.96], atol=0.03)


@pytest.mark.parametrize("name", TRAINED)
def test_a_preset_restores(name):
    sharp, blurred = zip(*(blurred_face(size) for size in SIZES), strict=True)
    restored = deblur_zoo.load(name).deblur(np.stack(blurred))
    for truth, before, after, size, expected in zip(
        sharp, blurred, restored, SIZES, GAINS.get(name, (0.2,) * 3), strict=True
    ):
        gain = peak_signal_noise_ratio(truth, after) - peak_signal_noise_ratio(truth, before)
        assert gain > expected - 0.2, f"{name} gains {gain:.2f} dB at {size} pixels"
