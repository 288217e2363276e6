"""Photos blurred by a known kernel, for the benchmarks of photo restoration."""

import cv2
import numpy as np

from deblur_zoo.blur.kernels import make_bank


def blurred(photo, kernel_size, seed, where=1.0):
    """A uint8 photo (H, W, 3) as a moving camera sees it: a trajectory of the test split, and noise of 0.005.

    Args:
        kernel_size: side of the kernel in pixels; 0: none.
        seed: chooses kernel and noise.
        where: share of the blurred photo, broadcast to (H, W, 1): less than 1 where only something in it moves.
    """
    generator = np.random.default_rng([seed, kernel_size])
    values = sharp = photo.astype(np.float32) / 255
    if kernel_size:
        bank = make_bank("trajectory", 50, (kernel_size,), 2026, split="test")
        kernel = bank.kernel(int(generator.integers(len(bank))))
        values = cv2.filter2D(values, -1, kernel[::-1, ::-1], borderType=cv2.BORDER_REFLECT_101)
        values = values * where + sharp * (1 - where)
    return np.rint(np.clip(values + generator.normal(0, 0.005, values.shape), 0, 1) * 255).astype(np.uint8)
