"""Unsharp masking, and two oracles, which are given the true kernel that other methods do not have.

The oracles are Wiener deconvolution (Hunt 1971, with a Laplacian as regularisation) and Richardson-Lucy (Richardson
1972, Lucy 1974). All three are scikit-image's.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from skimage import filters, restoration

from deblur_zoo.annotations import Array
from deblur_zoo.evaluation.protocol import as_float
from deblur_zoo.files.pictures import to_uint8

# Mirrored pixels around the image, which keep deconvolution's artefacts at the outer border out of the image. Each
# iteration of Richardson-Lucy carries them further in: with 32 it gained 0.3 dB less than with 64.
BORDER = 64
# Below this brightness Richardson-Lucy does not divide: an off-centre kernel leaves the outer border dark, and the
# quotients there grow until they fill the image.
DARK = 1e-3
# `python -m deblur_zoo.evaluation.baselines --faces celeba_train --limit 8` chose the constants below.


@dataclass(frozen=True)
class Baseline:
    """A classical method with its constants.

    Attributes:
        title: its name in documents.
        function: takes a float (H, W, 3) image in [0, 1], for oracles the kernel, and the constants.
        constants: its arguments by name.
        candidates: the values from which the constants were chosen.
        oracle: whether it is given the kernel.
    """

    title: str
    function: Callable[..., Array]
    constants: dict[str, Any]
    candidates: tuple[dict[str, Any], ...]
    oracle: bool = False

    def __call__(self, images: Array, kernels: list[Array] | None = None) -> Array:
        """Restored pictures, uint8 (N, H, W, 3), from such pictures.

        Args:
            images: uint8 (N, H, W, 3).
            kernels: (N) kernels (K, K), for oracles.

        Raises:
            ValueError: an oracle without kernels.
        """
        if self.oracle and kernels is None:
            raise ValueError(f"{self.title} needs the kernels, which this protocol does not have")
        arguments = zip(as_float(images), *([kernels] if self.oracle else []), strict=True)
        # Threads help since the transforms release the interpreter lock.
        with ThreadPoolExecutor() as pool:
            restored = np.stack(list(pool.map(lambda values: self.function(*values, **self.constants), arguments)))
        return to_uint8(restored)


def unsharp_mask(image: Array, radius: float, amount: float) -> Array:
    """Add ``amount`` times the difference from a Gaussian blur of sigma ``radius`` pixels.

    Args:
        image: float32 (H, W, 3) in [0, 1].
        radius: in pixels, above 0.
        amount: 0 leaves the image unchanged.

    Returns:
        float32 (H, W, 3) in [0, 1].

    Raises:
        ImportError: scikit-image is not installed.
    """
    # Channel by channel: with channel_axis=-1, scikit-image 0.26 returns uninitialised memory.
    return _by_channel(lambda channel: filters.unsharp_mask(channel, radius=radius, amount=amount), image)


def wiener(image: Array, kernel: Array, balance: float) -> Array:
    """Wiener-Hunt deconvolution of each channel.

    Args:
        image: float32 (H, W, 3) in [0, 1].
        kernel: (K, K), the blur's, centred on pixel K // 2.
        balance: weight of the Laplacian; larger is smoother.

    Returns:
        float32 (H, W, 3) in [0, 1].

    Raises:
        ImportError: scikit-image is not installed.
    """
    return _by_channel(lambda channel: restoration.wiener(channel, _odd(kernel), balance), image)


def richardson_lucy(image: Array, kernel: Array, iterations: int) -> Array:
    """Richardson-Lucy deconvolution of each channel; arguments and errors as ``wiener``.

    Args:
        iterations: more give sharper and noisier images.
    """
    return _by_channel(
        lambda channel: restoration.richardson_lucy(channel, _odd(kernel), iterations, filter_epsilon=DARK), image
    )


def _by_channel(function, image):
    mirrored = _mirrored(image)
    return _inside(np.stack([function(mirrored[..., channel]) for channel in range(3)], axis=-1))


def _mirrored(image):
    # Without repeating the border pixels, like the blur's border (REFLECT_101).
    return np.pad(image, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), mode="reflect")


def _inside(image):
    return np.clip(image[BORDER:-BORDER, BORDER:-BORDER], 0, 1).astype(np.float32)


def _odd(kernel):
    # scikit-image centres an even kernel on another pixel than K // 2; adding a row and a column of zeros avoids that.
    return np.pad(kernel, [(0, 1 - side % 2) for side in kernel.shape])


BASELINES = {
    "unsharp_mask": Baseline(
        "unsharp mask",
        unsharp_mask,
        {"radius": 12, "amount": 0.25},
        tuple({"radius": radius, "amount": amount} for radius in (2, 4, 8, 12, 16) for amount in (0.125, 0.25, 0.5, 1)),
    ),
    "wiener": Baseline(
        "Wiener, oracle: knows the kernel",
        wiener,
        {"balance": 0.1},
        tuple({"balance": balance} for balance in (0.03, 0.1, 0.3, 0.6, 1)),
        oracle=True,
    ),
    "richardson_lucy": Baseline(
        "Richardson-Lucy, oracle: knows the kernel",
        richardson_lucy,
        {"iterations": 30},
        tuple({"iterations": iterations} for iterations in (10, 20, 30, 40)),
        oracle=True,
    ),
}


def described(constants: dict[str, float]) -> str:
    """Constants in words: "radius 2, amount 0.5"."""
    return ", ".join(f"{name} {value:g}" for name, value in constants.items())
