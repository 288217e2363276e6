"""Kernels drawn from several banks in given proportions."""

import numpy as np


def pick(shares, chosen):
    """The index into ``shares`` (probabilities, normalised here) that ``chosen`` in [0, 1) selects."""
    shares = np.array(list(shares), np.float64)
    thresholds = np.cumsum(shares / shares.sum())
    return min(int(np.searchsorted(thresholds, chosen, side="right")), len(shares) - 1)


class KernelMixture:
    """Kernel banks and the probability of drawing from each.

    Args:
        banks: kernel banks by name.
        shares: probability of each bank, by name; normalised.

    Attributes:
        kernels: float32 (M, K, K), the kernels of all banks in the order of ``shares``, zero-padded to the largest.
    """

    def __init__(self, banks, shares):
        chosen = [banks[name] for name in shares]
        self.kernels, self._sizes = _one_array(chosen)
        self._bank_ends = np.cumsum([len(bank) for bank in chosen]).tolist()
        self._shares = list(shares.values())

    def index(self, chosen, generator):
        """A random index into ``kernels``: ``chosen`` in [0, 1) selects the bank, ``generator`` the kernel."""
        bank = pick(self._shares, chosen)
        start = self._bank_ends[bank - 1] if bank else 0
        return generator.integers(start, self._bank_ends[bank])

    def draw(self, generator):
        """A random kernel, float32 (s, s)."""
        return self.kernel(self.index(generator.random(), generator))

    def kernel(self, index):
        """Kernel ``index`` without its padding: float32 (s, s)."""
        size = self._sizes[index]
        start = self.kernels.shape[1] // 2 - size // 2
        return self.kernels[index, start : start + size, start : start + size]


def _one_array(banks):
    """The kernels of several banks padded to one size K, (M, K, K), and each kernel's own size, (M,)."""
    size = max(bank.kernels.shape[1] for bank in banks)
    padded = np.zeros((sum(len(bank) for bank in banks), size, size), np.float32)
    first = 0
    for bank in banks:
        own = bank.kernels.shape[1]
        # Both are odd: the middle pixel, on which convolution is centred, stays the middle pixel.
        start = size // 2 - own // 2
        padded[first : first + len(bank), start : start + own, start : start + own] = bank.kernels
        first += len(bank)
    return padded, np.concatenate([bank.sizes for bank in banks])
