"""How large the blur on a face is, from the face before and after restoration, and whether other places share it."""

from dataclasses import dataclass

import cv2
import numpy as np

from deblur_zoo.files.pictures import LUMA

# Spatial frequencies in cycles per pixel that are compared: above the first sinusoids of the window, and below those
# that strong blur removes.
_HIGHEST = 0.15
_LOWEST_CYCLES = 1.5
# Candidates: spread along the motion in pixels, across it as a share of that, and the motion's direction.
_SPREADS = np.linspace(0.2, 12, 60)
_RATIOS = np.array([0.1, 0.3, 0.5, 0.7, 1.0])
_ANGLES = np.linspace(0, np.pi, 12, endpoint=False)
# Rows that are compared at once, and the spread in pixels of the filter that takes noise out of differences.
_ROWS = 384
_NOISE_SPREAD = 1.0


@dataclass(frozen=True)
class Blur:
    """A Gaussian that blurs about as much.

    Attributes:
        spread: standard deviation along the motion, in pixels.
        ratio: that across the motion, as a share of the spread.
        angle: the motion's direction in radians, from the x axis towards the y axis.
    """

    spread: float
    ratio: float
    angle: float

    @property
    def length(self):
        """Length in pixels of the straight motion that would blur as much."""
        return self.spread * float(np.sqrt(12))

    def kernel(self, enlargement=1.0):
        """float32 (K, K) with sum 1, for a picture that is enlarged."""
        spread = max(self.spread * enlargement, 1e-3)
        reach = int(np.ceil(3 * spread))
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        along = np.cos(self.angle) * x + np.sin(self.angle) * y
        across = np.cos(self.angle) * y - np.sin(self.angle) * x
        kernel = np.exp(-0.5 * ((along / spread) ** 2 + (across / max(self.ratio * spread, 0.3)) ** 2))
        return (kernel / kernel.sum()).astype(np.float32)


def fit_blur(crop, residual):
    """The Gaussian blur between a face and its restoration.

    The ratio of the spectra before and after restoration is the blur's transfer function. A Gaussian is fitted to it by
    least squares, weighted by the restored spectrum.

    Args:
        crop: float32 (S, S, 3) in [0, 1], the blurred face.
        residual: float32 (S, S, 3), restored minus blurred.

    Returns:
        Blur, whose spread is 0 if nothing was changed.
    """
    if not np.any(residual):
        return Blur(0.0, 1.0, 0.0)
    size = crop.shape[0]
    window = np.hanning(size)[:, None] * np.hanning(size)[None, :]
    before, after = ((image @ LUMA - (image @ LUMA).mean()) * window for image in (crop, crop + residual))
    frequency = np.fft.fftfreq(size)
    y, x = np.meshgrid(frequency, frequency, indexing="ij")
    radius = np.hypot(x, y)
    # The spectrum of a real image is symmetric: half of it says everything.
    used = (radius > _LOWEST_CYCLES / size) & (radius < _HIGHEST) & ((y > 0) | ((y == 0) & (x > 0)))
    before, after, x, y = np.fft.fft2(before)[used], np.fft.fft2(after)[used], x[used], y[used]
    power = np.abs(after) ** 2
    transfer = (before * after.conj()).real / (power + 1e-9)
    best = np.inf, 0.0, 1.0, 0.0
    for angle in _ANGLES:
        along = (np.cos(angle) * x + np.sin(angle) * y) ** 2
        across = (np.cos(angle) * y - np.sin(angle) * x) ** 2
        for ratio in _RATIOS:
            exponent = -2 * np.pi**2 * (along + ratio**2 * across)
            fitted = np.exp(_SPREADS[:, None] ** 2 * exponent)
            errors = ((transfer - fitted) ** 2) @ power
            index = int(errors.argmin())
            best = min(best, (float(errors[index]), float(_SPREADS[index]), float(ratio), float(angle)))
    return Blur(*best[1:])


def mismatch(picture, residual, kernel, left_out=()):
    """How badly a blur explains what the network changed: 0 if blurring the result gives the picture back.

    Args:
        picture: float32 (H, W, 3) in [0, 1], or a function of a slice of rows to such rows.
        residual: float32 (H, W, 3), restored minus ``picture``.
        kernel: symmetric, float32 (K, K).
        left_out: boxes (left, top, right, bottom) in pixels that do not count.

    Returns:
        energy of (blurred result minus picture) as a share of that of the residual, both without noise; infinite if
        nothing was changed.
    """
    height, width = residual.shape[:2]
    luma = LUMA.astype(np.float32)
    boxes = np.rint(np.maximum(np.reshape(left_out, (-1, 4)), 0)).astype(int)
    # By rows: at 12 megapixels each copy takes 48 MB.
    reach = len(kernel) // 2 + int(4 * _NOISE_SPREAD)
    unexplained = changed = 0.0
    for top in range(0, height, _ROWS):
        first, last = max(0, top - reach), min(height, top + _ROWS + reach)
        before = (picture(slice(first, last)) if callable(picture) else picture[first:last]) @ luma
        change = residual[first:last] @ luma
        inner = slice(top - first, min(top + _ROWS, height) - first)
        counted = np.ones((min(_ROWS, height - top), width), np.float32)
        for left, upper, right, lower in boxes:
            counted[max(0, upper - top) : max(0, lower - top), left:right] = 0

        def energy(difference, inner=inner, counted=counted):
            smooth = cv2.GaussianBlur(difference, (0, 0), _NOISE_SPREAD)[inner]
            return float((smooth**2 * counted).sum(dtype=np.float64))

        again = cv2.filter2D(before + change, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        unexplained += energy(again - before)
        changed += energy(change)
    return unexplained / changed if changed else np.inf
