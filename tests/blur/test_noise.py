import numpy as np
import pytest
from keras import ops

from deblur_zoo.blur.noise import add_gaussian_noise, add_shot_noise


def array(tensor):
    return ops.convert_to_numpy(tensor)


def test_gaussian_noise_by_hand():
    images = np.full((2, 1, 1, 3), 0.5, np.float32)
    draws = np.array([[-1, 0, 2], [1, 10, -10]], np.float32).reshape(2, 1, 1, 3)
    noisy = array(add_gaussian_noise(images, 0.1, draws))
    np.testing.assert_allclose(noisy.reshape(2, 3), [[0.4, 0.5, 0.7], [0.6, 1.0, 0.0]], atol=1e-6)
    free = array(add_gaussian_noise(images, 0.1, draws, clip=False))
    np.testing.assert_allclose(free.reshape(2, 3), [[0.4, 0.5, 0.7], [0.6, 1.5, -0.5]], atol=1e-6)


def test_one_level_an_image():
    images, draws = np.full((3, 2, 2, 1), 0.5, np.float32), np.ones((3, 2, 2, 1), np.float32)
    noisy = array(add_gaussian_noise(images, np.array([0.0, 0.1, 0.2]), draws))
    np.testing.assert_allclose(noisy[:, 0, 0, 0], [0.5, 0.6, 0.7], atol=1e-6)
    noisy = array(add_shot_noise(images, [50.0, 200.0, 800.0], draws))
    np.testing.assert_allclose(noisy[:, 1, 1, 0], [0.6, 0.55, 0.525], atol=1e-6)


def test_shot_noise_by_hand():
    images = np.array([0.0, 0.04, 0.25, 1.0], np.float32).reshape(1, 2, 2, 1)
    draws = np.ones_like(images)
    noisy = array(add_shot_noise(images, 100, draws, clip=False)).reshape(-1)
    np.testing.assert_allclose(noisy, [0.0, 0.06, 0.30, 1.1], atol=1e-6)
    assert array(add_shot_noise(images, 100, draws)).max() == 1
    # Below black (a blurred picture before clipping) there is no light and no noise.
    assert array(add_shot_noise(-images, 100, draws, clip=False)).reshape(-1) == pytest.approx([0, -0.04, -0.25, -1])


def test_shot_noise_has_the_moments_of_counted_photons():
    generator = np.random.default_rng(0)
    images = np.repeat(np.array([0.1, 0.5, 0.9], np.float32), 40_000).reshape(3, 200, 200, 1)
    noisy = array(add_shot_noise(images, 400, generator.standard_normal(images.shape), clip=False))
    counted = generator.poisson(images * 400.0) / 400
    # 40,000 samples: the mean is known to 0.5 % of the deviation, a deviation to 0.35 % of itself.
    deviation = counted.std(axis=(1, 2, 3))
    np.testing.assert_allclose(noisy.std(axis=(1, 2, 3)), deviation, rtol=0.025)
    assert np.abs(noisy.mean(axis=(1, 2, 3)) - images[:, 0, 0, 0]).max() < 0.03 * deviation.max()


def test_type_is_kept():
    images = ops.cast(np.full((1, 2, 2, 3), 0.5, np.float32), "bfloat16")
    draws = np.zeros((1, 2, 2, 3), np.float32)
    assert "bfloat16" in str(add_gaussian_noise(images, 0.1, draws).dtype)
    assert "bfloat16" in str(add_shot_noise(images, 100, draws).dtype)


def test_bad_level():
    images = np.zeros((2, 2, 2, 1), np.float32)
    with pytest.raises(ValueError, match=r"noise level .*\(2, 2\)"):
        add_gaussian_noise(images, np.zeros((2, 2)), images)
