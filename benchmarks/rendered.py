"""Photos blurred by a known kernel, for the benchmarks of photo restoration."""

import cv2
import numpy as np

from deblur_zoo.blur.kernels import make_bank


def blurred(photo, kernel_size, seed):
    """A uint8 photo (H, W, 3) as a moving camera sees it: a trajectory of the test split, and noise of 0.005."""
    generator = np.random.default_rng([seed, kernel_size])
    values = photo.astype(np.float32) / 255
    if kernel_size:
        bank = make_bank("trajectory", 50, (kernel_size,), 2026, split="test")
        kernel = bank.kernel(int(generator.integers(len(bank))))
        values = cv2.filter2D(values, -1, kernel[::-1, ::-1], borderType=cv2.BORDER_REFLECT_101)
    return np.rint(np.clip(values + generator.normal(0, 0.005, values.shape), 0, 1) * 255).astype(np.uint8)
