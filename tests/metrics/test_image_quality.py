import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblur_zoo.metrics.image_quality import psnr, ssim, ssim_volume


def numpy_of(values):
    return ops.convert_to_numpy(values)


@pytest.fixture(scope="module")
def pairs():
    """A photo against blurred, noisy, shifted and constant versions of itself; not square."""
    photo = data.astronaut()[20:170, 150:310].astype(np.float32) / 255
    noise = np.random.default_rng(0).standard_normal(photo.shape)
    versions = [
        ndimage.gaussian_filter(photo, (2, 1, 0)),
        np.clip(photo + 0.05 * noise, 0, 1),
        np.roll(photo, 2, axis=1),
        np.full_like(photo, 0.5),
        photo * np.array([1.0, 0.8, 0.9]),
    ]
    return np.stack([photo] * len(versions)), np.stack(versions).astype(np.float32)


def test_psnr_by_hand():
    truth = np.zeros((2, 4, 4, 3), np.float32)
    estimate = truth.copy()
    estimate[0, ..., 1] = 0.3  # mean square 0.09 / 3 = 0.03 -> 15.2288 dB
    estimate[1] = 0.1  # 20 dB
    np.testing.assert_allclose(numpy_of(psnr(truth, estimate)), [15.228787, 20.0], atol=1e-4)


def test_psnr_of_equal_images_is_infinite():
    image = np.full((1, 3, 3, 3), 0.4, np.float32)
    assert np.isposinf(numpy_of(psnr(image, image))).all()


def test_psnr_equals_scikit_image(pairs):
    expected = [peak_signal_noise_ratio(t, e, data_range=1) for t, e in zip(*pairs, strict=True)]
    np.testing.assert_allclose(numpy_of(psnr(*pairs)), expected, atol=1e-3)


def test_ssim_equals_scikit_image(pairs):
    expected = []
    for truth, estimate in zip(*(images.astype(np.float64) for images in pairs), strict=True):
        _, full = structural_similarity(
            truth,
            estimate,
            data_range=1,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            truncate=3.5,  # radius int(3.5 * 1.5 + 0.5) = 5, so 11 taps
            use_sample_covariance=False,
            full=True,
        )
        expected.append(full[5:-5, 5:-5].mean())
    assert expected[0] < 0.9 and expected[3] < 0.5
    # float32 against float64.
    np.testing.assert_allclose(numpy_of(ssim(*pairs)), expected, atol=3e-6)


def test_both_equal_tensorflow(pairs):
    tf = pytest.importorskip("tensorflow")
    np.testing.assert_allclose(numpy_of(psnr(*pairs)), tf.image.psnr(*pairs, 1.0).numpy(), atol=1e-4)
    np.testing.assert_allclose(numpy_of(ssim(*pairs)), tf.image.ssim(*pairs, 1.0).numpy(), atol=1e-4)


def test_smallest_image_is_one_window(pairs):
    truth, estimate = (images[:, :11, :11] for images in pairs)
    distance = np.arange(11) - 5.0
    window = np.exp(-(distance[:, None] ** 2 + distance**2) / 4.5)
    window = (window / window.sum())[None, :, :, None]
    x, y = truth.astype(np.float64), estimate.astype(np.float64)
    mean_x, mean_y = (window * x).sum((1, 2)), (window * y).sum((1, 2))
    variances = (window * (x**2 + y**2)).sum((1, 2)) - mean_x**2 - mean_y**2
    covariance = (window * x * y).sum((1, 2)) - mean_x * mean_y
    expected = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
    expected = expected / ((mean_x**2 + mean_y**2 + 1e-4) * (variances + 9e-4))
    np.testing.assert_allclose(numpy_of(ssim(truth, estimate)), expected.mean(-1), atol=3e-5)


def test_float32_under_mixed_precision(pairs):
    truth = ops.cast(pairs[0], "bfloat16")
    previous = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        values = psnr(truth, pairs[1]), ssim(truth, pairs[1])
    finally:
        keras.mixed_precision.set_dtype_policy(previous)
    assert [keras.backend.standardize_dtype(value.dtype) for value in values] == ["float32", "float32"]
    rounded = numpy_of(ops.cast(truth, "float32"))
    np.testing.assert_allclose(numpy_of(values[0]), numpy_of(psnr(rounded, pairs[1])), atol=1e-5)
    np.testing.assert_allclose(numpy_of(values[1]), numpy_of(ssim(rounded, pairs[1])), atol=1e-5)


def test_bad_input_is_refused_with_a_sentence():
    image = np.zeros((1, 16, 16, 3), np.float32)
    with pytest.raises(ValueError, match="11x11 .*10x16"):
        ssim(image[:, :10], image[:, :10])
    with pytest.raises(TypeError, match="truth .*uint8"):
        psnr(image.astype(np.uint8), image)
    with pytest.raises(ValueError, match=r"estimate .*\(16, 16, 3\)"):
        psnr(image, image[0])
    with pytest.raises(ValueError, match=r"\(1, 16, 16, 3\) and \(1, 16, 15, 3\)"):
        ssim(image, image[:, :, 1:])


def test_ssim_of_a_volume_by_scipy_and_scikit_image(pairs):
    by_scipy, by_scikit_image = [], []
    for truth, estimate in zip(*(images.astype(np.float64) for images in pairs), strict=True):
        # MATLAB's ssim of an (H, W, 3) array: imgaussfilt3 with FilterSize 11 and Padding "replicate".
        def smooth(volume):
            return ndimage.gaussian_filter(volume, 1.5, radius=5, mode="nearest")

        mean_x, mean_y = smooth(truth), smooth(estimate)
        variances = smooth(truth**2) - mean_x**2 + smooth(estimate**2) - mean_y**2
        covariance = smooth(truth * estimate) - mean_x * mean_y
        similarity = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
        by_scipy.append((similarity / ((mean_x**2 + mean_y**2 + 1e-4) * (variances + 9e-4))).mean())
        # scikit-image mirrors at borders and takes no volume thinner than its window: pad, and crop its values.
        _, full = structural_similarity(
            *(np.pad(volume, 5, mode="edge") for volume in (truth, estimate)),
            data_range=1, gaussian_weights=True, sigma=1.5, truncate=3.5, use_sample_covariance=False, full=True,
        )  # fmt: skip
        by_scikit_image.append(full[5:-5, 5:-5, 5:-5].mean())
    np.testing.assert_allclose(by_scipy, by_scikit_image, atol=1e-9)
    # float32 against float64.
    np.testing.assert_allclose(numpy_of(ssim_volume(*pairs)), by_scipy, atol=3e-6)
    assert np.abs(by_scipy - numpy_of(ssim(*pairs))).max() > 0.02
    with pytest.raises(ValueError, match="3 channels"):
        ssim_volume(*(images[..., :1] for images in pairs))
