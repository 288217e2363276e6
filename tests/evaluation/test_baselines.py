import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.blur.kernels import line_kernel, make_bank
from deblur_zoo.evaluation import runs
from deblur_zoo.evaluation.baselines.candidates import candidates
from deblur_zoo.evaluation.baselines.classical import BASELINES, BORDER, richardson_lucy, unsharp_mask, wiener
from deblur_zoo.evaluation.measures import Quality
from deblur_zoo.evaluation.methods import Method, open_method
from deblur_zoo.evaluation.protocol import KernelSizes
from deblur_zoo.evaluation.protocols import TestSet


@pytest.fixture(scope="module")
def picture():
    """Smooth shades with edges, float32 (64, 64, 3), away from 0 and 1."""
    coarse = np.random.default_rng(0).uniform(0.2, 0.8, (8, 8, 3))
    return ndimage.gaussian_filter(coarse.repeat(8, axis=0).repeat(8, axis=1), (1, 1, 0)).astype(np.float32)


def blurred(picture, kernel):
    """True convolution with a mirrored border, by SciPy; even kernels are centred on pixel K // 2 as here."""
    return ndimage.convolve(picture, kernel[..., None], mode="mirror", origin=0)


def psnr(a, b):
    return -10 * np.log10(np.mean((a.astype(np.float64) - b) ** 2))


def test_unsharp_masking_of_a_constant_picture_is_the_picture():
    constant = np.full((40, 40, 3), (0.2, 0.5, 0.9), np.float32)
    np.testing.assert_allclose(unsharp_mask(constant, radius=4, amount=2), constant, atol=1e-6)


def test_unsharp_masking_by_hand(picture):
    smooth = np.stack([ndimage.gaussian_filter(picture[..., c], 2, mode="mirror") for c in range(3)], axis=-1)
    expected = np.clip(picture + 0.7 * (picture - smooth), 0, 1)
    # scikit-image cuts its gaussian at 4 sigma, as SciPy does.
    np.testing.assert_allclose(unsharp_mask(picture, radius=2, amount=0.7), expected, atol=1e-5)
    np.testing.assert_allclose(unsharp_mask(picture, radius=2, amount=0), picture, atol=1e-6)


@pytest.mark.parametrize("side", [8, 9])
def test_oracles_undo_a_known_blur_without_noise(picture, side):
    # Lopsided, so that a mirrored kernel or another middle pixel would make it worse.
    kernel = np.zeros((side, side), np.float32)
    kernel[1, 2:6], kernel[2, 6] = (0.4, 0.2, 0.2, 0.1), 0.1
    blurry = blurred(picture, kernel)
    before = psnr(picture, blurry)
    assert before < 30
    inside = slice(12, -12)
    for restored, gain in (
        (wiener(blurry, kernel, 1e-4), 15),
        (richardson_lucy(blurry, kernel, 100), 8),
    ):
        assert restored.dtype == np.float32 and restored.shape == picture.shape
        # The border's pixels came from outside of the picture; there it must not become worse, at least.
        assert (
            psnr(picture[inside, inside], restored[inside, inside])
            > psnr(picture[inside, inside], blurry[inside, inside]) + gain
        )
        assert psnr(picture, restored) > before + 3


def test_wiener_is_its_formula_away_from_the_border(picture):
    """Fourier coefficients by hand on the mirrored picture: conj(K) / (|K|^2 + balance |L|^2)."""
    kernel, balance = line_kernel(7, 30), 0.05
    blurry = blurred(picture, kernel)
    width = BORDER
    padded = np.pad(blurry[..., 0], width, mode="reflect").astype(np.float64)

    def transfer(small):
        full = np.zeros(padded.shape)
        full[: small.shape[0], : small.shape[1]] = small
        return np.fft.fft2(np.roll(full, [-(side // 2) for side in small.shape], axis=(0, 1)))

    k, laplacian = transfer(kernel), transfer(np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]]))
    expected = np.fft.ifft2(np.fft.fft2(padded) * np.conj(k) / (np.abs(k) ** 2 + balance * np.abs(laplacian) ** 2)).real
    restored = wiener(blurry, kernel, balance)[..., 0]
    np.testing.assert_allclose(restored, np.clip(expected[width:-width, width:-width], 0, 1), atol=1e-4)


def test_one_step_of_richardson_lucy_by_hand(picture):
    """From 0.5 everywhere, one step is 0.5 times the correlation of picture / 0.5 with the kernel."""
    kernel = line_kernel(7, 60)
    kernel[0] *= 0.5
    restored = richardson_lucy(picture, kernel / kernel.sum(), 1)
    expected = ndimage.correlate(picture, (kernel / kernel.sum())[..., None], mode="mirror")
    np.testing.assert_allclose(restored, np.clip(expected, 0, 1), atol=1e-5)


def test_an_oracle_gets_the_kernel_of_each_pair(picture, tmp_path):
    faces = np.rint(255 * np.stack([picture, picture[::-1]])).astype(np.uint8)
    protocol = KernelSizes(bank=make_bank("trajectory", 6, [9, 13], seed=1, split="test"), sigma=0, kernels_per_size=2)
    test_set = TestSet("kernel_sizes", protocol, faces, ["a", "b"], ["a", "b"], None)
    seen = []

    def restore(batch, names, kernels):
        seen.extend(zip(batch.blurred, kernels, batch.faces, batch.kernels, strict=True))
        return batch.blurred

    wiener = open_method("wiener")
    results = runs.run_all([Method("oracle", restore, {}), wiener], [test_set], [Quality()], tmp_path, batch_size=3)
    assert len(seen) == protocol.count(2) == 8
    for image, kernel, face, number in seen:
        np.testing.assert_array_equal(kernel, protocol.bank.kernel(number))
        np.testing.assert_allclose(image, 255 * blurred(faces[face] / np.float32(255), kernel), atol=0.51)
    # Without noise the true kernel is worth several dB, another one nothing.
    frame = runs.frame_of(results)
    assert frame.loc[frame["method"] == wiener.name, "gain"].mean() > 3
    with pytest.raises(ValueError, match="needs the kernels"):
        BASELINES["wiener"](faces)


def test_candidates_are_measured_by_their_psnr(picture):
    faces = np.rint(255 * picture[None]).astype(np.uint8)
    protocol = KernelSizes(bank=make_bank("linear", 2, [9], seed=1, split="test"))
    baseline = BASELINES["wiener"]
    found = candidates(baseline, faces, protocol)
    assert [constants for constants, _ in found] == list(baseline.candidates)
    (batch,) = protocol.batches(faces)
    for constants, value in found:
        restored = wiener(batch.blurred[0] / np.float32(255), protocol.bank.kernel(batch.kernels[0]), **constants)
        assert value == pytest.approx(psnr(faces[0] / 255, np.rint(255 * restored) / 255), abs=1e-3)


@pytest.mark.parametrize("name", BASELINES)
def test_the_constants_are_among_their_candidates(name):
    assert BASELINES[name].constants in BASELINES[name].candidates
