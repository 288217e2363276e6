import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from deblur_zoo.blur import kernels as K
from deblur_zoo.blur.rasterization import mass_centre

SIZES = (8, 9, 14, 20, *range(13, 30, 2))

# Digests of the first 64 kernels of sizes 8 to 29 (seed 0, train). A change here means that published banks can no
# longer be made again: it needs a new format and a word in the release notes, not a new digest alone.
GOLDEN = {
    "gaussian_process": "4efe259e37e3a657891192145f2097f9d6c73eff9e05c6e4d612a9056759a64c",
    "trajectory": "b201b4097091a64b0a7a090eb4fe00102414dd940cd26413a88696947669619e",
    "camera": "94a96e07e674e5d8a37da904b11d5860a3b0a7f17b15be72f7e0d952a6ad539c",
    "linear": "cf00b011caf9308575d1042cd0e067badd373c6a0bb64364c2022ccb18204a16",
}


@pytest.fixture(scope="module", params=K.KINDS)
def bank(request):
    return K.make_bank(request.param, 40 * len(SIZES), SIZES, seed=3)


def test_sums_and_signs(bank):
    assert bank.kernels.dtype == np.float32
    np.testing.assert_array_equal(bank.kernels.sum(axis=(1, 2), dtype=np.float32), 1.0)
    assert bank.kernels.min() == 0


def test_mass_is_in_the_middle(bank):
    for index in range(len(bank)):
        kernel = bank.kernel(index).astype(np.float64)
        centre, size = np.array(center_of_mass(kernel)), len(kernel)
        np.testing.assert_allclose(centre, mass_centre(size), atol=0.01)
        assert np.abs(centre - (size - 1) / 2).max() <= 0.5
        # In the padded bank: next to the middle pixel, around which a batch of all sizes is convolved.
        np.testing.assert_allclose(
            center_of_mass(bank.kernels[index].astype(np.float64)), bank.kernels.shape[1] // 2, atol=0.08
        )


def test_kernels_fill_their_size(bank):
    """The farthest pixel from the mass centre is on the border; the longer side is at least about 3/4 of the size."""
    spans = []
    for index in range(len(bank)):
        kernel = bank.kernel(index)
        size = len(kernel)
        rows, columns = np.nonzero(kernel)
        limits = rows.min(), columns.min(), size - 1 - rows.max(), size - 1 - columns.max()
        # An even size has less room on one side, and a path may end there.
        assert min(limits) == 0
        spans.append((max(np.ptp(rows), np.ptp(columns)) + 1) / size)
    assert min(spans) >= 0.7 and np.median(spans) > 0.85


def test_kernels_are_thin_curves(bank):
    """A curve through s pixels touches a few s of them, not s^2; and no pixel holds most of the light."""
    for size in (13, 21, 29):
        drawn = np.stack([bank.kernel(index) for index in bank.of_size(size)])
        touched = (drawn > 0).sum(axis=(1, 2))
        assert touched.min() >= size * 0.75
        assert np.median(touched) < 0.45 * size**2
        assert np.median(drawn.max(axis=(1, 2))) < 0.25


def test_first_kernels_do_not_depend_on_count_or_company(bank):
    few = K.make_bank(bank.kind, 5, SIZES, seed=3)
    for index in range(5):
        np.testing.assert_array_equal(few.kernel(index), bank.kernel(index))


def test_random_kernel_is_the_banks(bank):
    code = {"gaussian_process": 1, "trajectory": 2, "camera": 3, "linear": 4}[bank.kind]
    for index in (0, 7):
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, 1, code, index])))
        np.testing.assert_array_equal(K.random_kernel(bank.kind, SIZES[index], generator), bank.kernel(index))


@pytest.mark.parametrize("kind", K.KINDS)
def test_golden_digest(kind):
    assert K.make_bank(kind, 64, range(8, 30)).digest() == GOLDEN[kind]


@pytest.mark.parametrize("kind", K.KINDS)
def test_other_seeds_splits_and_kinds_share_nothing(kind):
    first = K.make_bank(kind, 200, (13, 15), seed=0)
    assert K.count_shared(first, first) == 200
    for other in (K.make_bank(kind, 200, (13, 15), seed=1), K.make_bank(kind, 200, (13, 15), 0, "test")):
        assert K.count_shared(first, other) == 0


def test_line_by_hand():
    # 4 pixels to the right: the ends lie at columns 0 and 4 and take half a pixel's length each, minus what spills.
    kernel = K.line_kernel(4, 0)
    assert kernel.shape == (5, 5)
    # Uniform density 1/4 a pixel, spread by the triangle of width 2: inner pixels 1/4, the ends half of that.
    np.testing.assert_allclose(kernel[2], [0.125, 0.25, 0.25, 0.25, 0.125], atol=2e-4)
    assert kernel[[0, 1, 3, 4]].max() == 0
    np.testing.assert_allclose(K.line_kernel(4, 90), kernel.T, atol=1e-4)


def test_line_of_15_pixels_at_45_degrees():
    kernel = K.line_kernel(15, 45)
    # Half the length along x: 15 cos(45 deg) / 2 = 5.3 pixels, so 6 to either side.
    assert kernel.shape == (13, 13)
    assert kernel.sum() == 1
    rows, columns = np.nonzero(kernel > 0.02)
    assert np.all(np.abs(rows + columns - 12) <= 1)  # up to the right: rows fall while columns grow
    # The second moment of a uniform line of length 15 along its direction is 15^2 / 12, plus what bilinear adds.
    position = (np.arange(13) - 6)[None, :] / np.sqrt(2) - (np.arange(13) - 6)[:, None] / np.sqrt(2)
    assert (kernel * position**2).sum() == pytest.approx(15**2 / 12 + 1 / 6, abs=0.05)


@pytest.mark.parametrize("kind", ["spiral", None])
def test_unknown_kind(kind):
    with pytest.raises(ValueError, match="gaussian_process, trajectory, camera, linear"):
        K.random_kernel(kind, 13, np.random.default_rng(0))


@pytest.mark.parametrize("size", [2, 0, -5, 13.0, True, "13"])
def test_bad_sizes(size):
    with pytest.raises(ValueError, match=">= 3, got"):
        K.random_kernel("linear", size, np.random.default_rng(0))


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"count": 0}, "at least one kernel"),
        ({"sizes": ()}, "at least one kernel size"),
        ({"sizes": (13, 2)}, ">= 3, got"),
        ({"seed": -1}, "at least 0"),
        ({"split": "dev"}, "one of train, test"),
    ],
)
def test_bad_banks(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        K.make_bank(**{"kind": "linear", "count": 3, "sizes": (13,), **arguments})


@pytest.mark.parametrize("length", [0, -1, float("nan"), float("inf")])
def test_bad_lines(length):
    with pytest.raises(ValueError, match="above 0"):
        K.line_kernel(length, 45)
