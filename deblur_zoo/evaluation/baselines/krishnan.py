"""Blind deconvolution with a normalised sparsity measure (Krishnan, Tay and Fergus 2011), our own code.

The kernel is estimated from coarse to fine on the image's gradients x and y, by turns:

- the sharp gradients minimise weight * |k * x - y|^2 + |x|_1 / |x|_2, by soft thresholding with a fixed |x|_2;
- the kernel minimises |k * x - y|^2 + |k|_1, by reweighted least squares, and is then made non-negative with sum 1.

Last, the image is deconvolved with this kernel under a hyper-Laplacian prior (Krishnan and Fergus 2009).

Deviations: the least squares of the kernel are solved directly instead of by conjugate gradients, since the kernels are
small; borders are mirrored; kernels are centred on their centre of mass, as the test kernels are.
"""

from typing import Any

import numpy as np
from scipy import linalg
from skimage import transform

from deblur_zoo.annotations import Array
from deblur_zoo.evaluation.baselines.classical import BORDER, Baseline

SMALLEST = 3
ALTERNATIONS, OUTER, INNER = 10, 2, 2
EXPONENT = 0.8
EPSILON = 1e-6


def krishnan(image: Array, size: int, weight: float, kernel_weight: float, image_weight: float) -> Array:
    """Restore an image of unknown blur.

    Args:
        image: float32 (H, W, 3) in [0, 1].
        size: side of the largest kernel, odd, in pixels.
        weight: of the data against the sparsity of gradients, while the kernel is estimated.
        kernel_weight: of the kernel's sparsity.
        image_weight: of the data in the last deconvolution; smaller is smoother.

    Returns:
        float32 (H, W, 3) in [0, 1].

    Raises:
        ImportError: SciPy is not installed.
    """
    kernel = estimate_kernel(image.mean(axis=-1), size, weight, kernel_weight)
    pad = ((BORDER, BORDER), (BORDER, BORDER), (0, 0))
    mirrored = np.pad(image, pad, mode="reflect")
    channels = [_deconvolve(mirrored[..., channel].astype(np.float64), kernel, image_weight) for channel in range(3)]
    restored = np.stack(channels, axis=-1)[BORDER:-BORDER, BORDER:-BORDER]
    return np.clip(restored, 0, 1).astype(np.float32)


def estimate_kernel(grey: Array, size: int, weight: float, kernel_weight: float) -> Array:
    """The blur kernel of a grey image.

    Args:
        grey: float (H, W) in [0, 1].
        size, weight, kernel_weight: as for ``krishnan``.

    Returns:
        float64 (size, size), at least 0, sum 1, centred on its centre of mass to half a pixel.
    """
    sizes = [size]
    while sizes[-1] > SMALLEST:
        sizes.append(max(SMALLEST, int(sizes[-1] / np.sqrt(2)) // 2 * 2 + 1))
        if sizes[-1] == sizes[-2]:
            sizes[-1] -= 2
    kernel: Any = None
    sharp: Any = None
    for side in reversed(sizes):
        shape = [max(side, round(length * side / size)) for length in grey.shape]
        small = _resized(grey, shape)
        blurred = np.stack([np.diff(small, axis=axis, append=small.take([-1], axis)) for axis in (0, 1)])
        if kernel is None:
            kernel = np.zeros((side, side))
            kernel[side // 2, side // 2 : side // 2 + 2] = 0.5
            sharp = blurred
        else:
            kernel = _normalised(_resized(kernel, (side, side)))
            sharp = np.stack([_resized(gradient, shape) for gradient in sharp])
            sharp *= np.linalg.norm(blurred) / max(float(np.linalg.norm(sharp)), EPSILON)
        for _ in range(ALTERNATIONS):
            sharp = _sharpened(sharp, blurred, kernel, weight)
            kernel = _fitted(sharp, blurred, kernel, kernel_weight)
        kernel, shift = _centred(kernel)
        sharp = np.roll(sharp, shift, axis=(1, 2))
    kernel[kernel < kernel.max() / 20] = 0
    return _centred(_normalised(kernel))[0]


def _sharpened(sharp, blurred, kernel, weight):
    transfer = _transfer(kernel, blurred.shape[1:])
    for _ in range(OUTER):
        scaled = weight * np.linalg.norm(sharp)
        # The largest step that cannot diverge: a kernel of sum 1 amplifies nothing.
        step = 1 / (2 * max(scaled, EPSILON))
        for _ in range(INNER):
            error = np.fft.fft2(sharp) * transfer - np.fft.fft2(blurred)
            moved = sharp - 2 * step * scaled * np.fft.ifft2(error * transfer.conj()).real
            sharp = np.sign(moved) * np.maximum(np.abs(moved) - step, 0)
    return sharp


def _fitted(sharp, blurred, kernel, kernel_weight):
    side = len(kernel)
    spectrum = np.fft.fft2(sharp)
    own = np.fft.ifft2((np.abs(spectrum) ** 2).sum(axis=0)).real
    crossed = np.fft.ifft2((spectrum.conj() * np.fft.fft2(blurred)).sum(axis=0)).real
    rows, columns = (index.ravel() - side // 2 for index in np.indices((side, side)))
    matrix = own[rows[:, None] - rows, columns[:, None] - columns]
    target = crossed[rows, columns]
    scale = own[0, 0] / side**2
    flat = kernel.ravel()
    reweighted = matrix + np.diag(kernel_weight * scale / np.maximum(flat, 1e-4))
    try:
        flat = linalg.solve(reweighted, target, assume_a="pos")
    except linalg.LinAlgError:
        # Gradients that were thresholded to nothing tell nothing of the kernel.
        return kernel
    return _normalised(flat.reshape(side, side)) if flat.max() > 0 else kernel


def _deconvolve(image, kernel, image_weight):
    """Krishnan and Fergus 2009: half-quadratic splitting with weights that grow."""
    transfer = _transfer(kernel, image.shape)
    filters = [_transfer(np.array(taps), image.shape) for taps in ([[0, 1, -1]], [[0], [1], [-1]])]
    data = transfer.conj() * np.fft.fft2(image) * image_weight
    data_power = image_weight * np.abs(transfer) ** 2
    power = sum(np.abs(one) ** 2 for one in filters)
    restored, balance = image, 1.0
    while balance < 257:
        spectrum = np.fft.fft2(restored)
        split = [_shrunk(np.fft.ifft2(spectrum * one).real, balance) for one in filters]
        pulled = sum(one.conj() * np.fft.fft2(values) for one, values in zip(filters, split, strict=True))
        restored = np.fft.ifft2((data + balance * pulled) / (data_power + balance * power + EPSILON)).real
        balance *= 2 * np.sqrt(2)
    return restored


def _shrunk(values, balance):
    """Minimises |w|^0.8 + balance / 2 * (w - v)^2 for each v, by fixed-point steps; 0 where that is lower."""
    size = np.abs(values)
    found = size.copy()
    for _ in range(6):
        found = np.maximum(size - EXPONENT / balance * np.maximum(found, EPSILON) ** (EXPONENT - 1), 0)
    cost = found**EXPONENT + balance / 2 * (found - size) ** 2
    return np.sign(values) * np.where(cost < balance / 2 * size**2, found, 0)


def _transfer(kernel, shape):
    """Fourier transform of a kernel whose middle pixel is at the origin."""
    padded = np.zeros(shape)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    return np.fft.fft2(np.roll(padded, [-(side // 2) for side in kernel.shape], axis=(0, 1)))


def _normalised(kernel):
    kernel = np.maximum(kernel, 0)
    return kernel / max(kernel.sum(), EPSILON)


def _centred(kernel):
    """The kernel rolled so that its centre of mass is in the middle, and how far the gradients must be rolled."""
    middle = len(kernel) // 2
    shift = [middle - int(round(float((kernel * index).sum()))) for index in np.indices(kernel.shape)]
    return np.roll(kernel, shift, axis=(0, 1)), [-step for step in shift]


def _resized(image, shape):
    shrinks = shape[0] < image.shape[0]
    return transform.resize(image, shape, order=1, mode="reflect", anti_aliasing=shrinks)


KRISHNAN = Baseline(
    "Krishnan et al. 2011, blind (our code)",
    krishnan,
    {"size": 27, "weight": 10, "kernel_weight": 0.1, "image_weight": 100},
    tuple(
        {"size": 27, "weight": weight, "kernel_weight": kernel_weight, "image_weight": image_weight}
        for weight in (4, 10, 30)
        for kernel_weight in (0.1, 1)
        for image_weight in (30, 100, 300)
    ),
)
