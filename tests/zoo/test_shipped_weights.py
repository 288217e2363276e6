"""Every trained preset restores faces it has not seen, fills no picture with noise, and gives its golden outputs."""

import functools
import json

import numpy as np
import pytest
from scipy.ndimage import convolve
from skimage import data, transform
from skimage.metrics import peak_signal_noise_ratio

import deblur_zoo
from deblur_zoo import zoo
from deblur_zoo.blur.rasterization import rasterize
from deblur_zoo.files import pictures
from deblur_zoo.zoo import golden
from examples.demo import SHARP

keras = pytest.importorskip("keras")

# Sides of the kernels in pixels. The shake is half a turn of a spiral.
SIZES = (9, 17, 25)
TRAINED = deblur_zoo.list_models(kind="deblurrer", trained=True)
every_preset = pytest.mark.parametrize("name", TRAINED)
# The gain in PSNR at each size in dB, as measured with the shipped weights. One that is 0.2 dB lower fails, and for a
# preset without a row one that is a loss.
GAINS = {
    "enhancement_gan": (3.62, 5.06, 5.99),
    "enhancement_gan_lite": (2.93, 4.44, 5.37),
    "one_step": (3.98, 5.67, 6.09),
    "one_step_lite": (3.53, 5.16, 5.71),
    "semantic_face": (3.79, 5.42, 5.70),
    "semantic_face_lite": (2.42, 4.44, 4.90),
    "two_step_gan": (4.01, 5.59, 5.58),
    "two_step_gan_lite": (3.09, 4.93, 4.93),
    "umsn": (4.38, 5.72, 5.98),
    "umsn_lite": (3.00, 5.00, 5.28),
}
rows, columns = np.indices((96, 96))
random = np.random.default_rng(7)
PATTERNS = {
    "checkerboard of single pixels": (rows + columns) % 2,
    "checkerboard": (rows // 2 + columns // 2) % 2,
    "stripes of single pixels": columns % 2,
    "wide stripes": columns // 3 % 2,
    "white noise": random.uniform(size=(96, 96)),
    "dots": random.uniform(size=(96, 96)) > 0.9,
}
PICTURES = {name: np.repeat(np.float32(values)[..., None], 3, axis=-1) for name, values in PATTERNS.items()}
# A face of 20 pixels, and the rest of the photo.
PICTURES["distant person"] = transform.resize(data.astronaut(), (96, 96), anti_aliasing=True)


@functools.cache
def shipped(name):
    """Loaded once: no test here changes a model."""
    return deblur_zoo.load(name)


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


@every_preset
def test_a_preset_restores(name):
    sharp, blurred = zip(*(blurred_face(size) for size in SIZES), strict=True)
    restored = shipped(name).deblur(np.stack(blurred))
    for truth, before, after, size, expected in zip(
        sharp, blurred, restored, SIZES, GAINS.get(name, (0.2,) * 3), strict=True
    ):
        gain = peak_signal_noise_ratio(truth, after) - peak_signal_noise_ratio(truth, before)
        assert gain > expected - 0.2, f"{name} gains {gain:.2f} dB at {size} pixels"


@every_preset
def test_a_picture_without_a_face_stays_similar(name):
    """A root mean square of at most 0.25 and rounding; a network that fails on these changes them by 0.3 and more."""
    images = np.rint(255 * np.stack(list(PICTURES.values()))).astype("uint8")
    changes = np.sqrt(np.mean((np.float32(shipped(name).deblur(images)) - images) ** 2, axis=(1, 2, 3))) / 255
    assert {picture: change for picture, change in zip(PICTURES, changes, strict=True) if change > 0.252} == {}


@every_preset
def test_a_preset_still_gives_its_golden_outputs(name):
    expected = golden.read(name)
    config = json.loads((zoo.preset_folder(name) / "config.json").read_text())
    assert expected.weights_sha256 == config["weights"]["sha256"], "publish the preset again"
    restored = keras.ops.convert_to_numpy(shipped(name)(expected.images.astype(np.float32) / 255))
    # Other machines and backends add up in another order; measured between TensorFlow and JAX: below 1e-5.
    np.testing.assert_allclose(restored, expected.restored, atol=1e-4)
    # The network must do something, or any server would pass.
    assert np.abs(expected.restored - expected.images / 255).max() > 0.05
    assert np.abs(expected.restored[0] - expected.restored[1]).max() > 0.1
