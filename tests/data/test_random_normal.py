import numpy as np
import pytest
from scipy import stats

from deblur_zoo.data.random_normal import standard_normal, threefry


@pytest.mark.parametrize(
    "counter, key, words",
    [
        # Known answers of Threefry-2x32-20, published with the authors' implementation.
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_threefry_gives_the_published_words(counter, key, words):
    left, right = threefry(key, tuple(np.array([word], np.uint32) for word in counter))
    assert (left[0], right[0]) == words


def draws(pictures=24, shape=(64, 64, 3)):
    """Pictures of consecutive keys, the hardest ones for a counter-based generator."""
    return np.stack([standard_normal((0, key), shape) for key in range(pictures)])


def test_normal_numbers_of_the_first_block_by_hand():
    # Key (0, 0), counter (0, 0): the words above, put into the formula with double precision.
    u, v = ((0x6B200159 >> 8) + 1) / 2**24, (0x99BA4EFE >> 8) / 2**24
    radius = np.sqrt(-2 * np.log(u))
    expected = radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)
    picture = standard_normal((0, 0), (4, 4, 3))
    assert picture.dtype == np.float32
    np.testing.assert_allclose([picture[0, 0, 0], picture.reshape(-1)[24]], expected, atol=2e-6)


def test_distribution():
    values = draws()
    count = values.size
    # Standard errors of mean and variance of normal numbers: 1 / sqrt(n) and sqrt(2 / n); four of them.
    assert abs(values.mean(dtype=np.float64)) < 4 / np.sqrt(count)
    assert abs(values.var(dtype=np.float64) - 1) < 4 * np.sqrt(2 / count)
    assert stats.kstest(values.reshape(-1), "norm").pvalue > 0.01
    # The tails: 4 deviations are passed with probability 6.33e-5, a Poisson count.
    expected = count * 2 * stats.norm.sf(4)
    assert abs((np.abs(values) > 4).sum() - expected) < 4 * np.sqrt(expected)
    assert np.abs(values).max() <= np.sqrt(48 * np.log(2)) + 1e-5


@pytest.mark.parametrize("key", [(0, 0), (1, 0), (2**32 - 1, 2**32 - 1), (0x9E3779B9, 7)])
def test_each_picture_is_normal(key):
    assert stats.kstest(standard_normal(key, (128, 128, 3)).reshape(-1), "norm").pvalue > 1e-3


def test_no_correlation():
    values = draws().astype(np.float64)

    def correlation(one, other):
        # Of independent numbers: standard error 1 / sqrt(n). Squares too, which show what signs hide.
        bound = 4.5 / np.sqrt(one.size)
        assert abs(np.mean(one * other)) < bound
        assert abs(np.mean((one**2 - 1) * (other**2 - 1)) / 2) < bound

    correlation(values[:, 1:], values[:, :-1])  # rows
    correlation(values[:, :, 1:], values[:, :, :-1])  # columns
    correlation(values[..., 0], values[..., 1])  # colours
    correlation(values[1:], values[:-1])  # consecutive keys
    flat = values.reshape(len(values), -1)
    half = flat.shape[1] // 2
    correlation(flat[:, :half], flat[:, half:])  # the two numbers of a block
    other_word = np.stack([standard_normal((key, 0), (64, 64, 3)) for key in range(len(values))])
    correlation(other_word[1:], values[1:])
