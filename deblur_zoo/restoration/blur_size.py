"""How large the blur on a face is, from the face before and after restoration."""

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


def blur_length(crop, residual):
    """Length of the straight motion that would blur as much, in pixels of the crop.

    The ratio of the spectra before and after restoration is the blur's transfer function. A Gaussian is fitted to it by
    least squares, weighted by the restored spectrum; a straight motion of length L has the spread L / sqrt(12).

    Args:
        crop: float32 (S, S, 3) in [0, 1], the blurred face.
        residual: float32 (S, S, 3), restored minus blurred.

    Returns:
        length in pixels, 0 if nothing was changed.
    """
    if not np.any(residual):
        return 0.0
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
    best = np.inf, 0.0
    for angle in _ANGLES:
        along = (np.cos(angle) * x + np.sin(angle) * y) ** 2
        across = (np.cos(angle) * y - np.sin(angle) * x) ** 2
        for ratio in _RATIOS:
            exponent = -2 * np.pi**2 * (along + ratio**2 * across)
            fitted = np.exp(_SPREADS[:, None] ** 2 * exponent)
            errors = ((transfer - fitted) ** 2) @ power
            index = int(errors.argmin())
            best = min(best, (float(errors[index]), float(_SPREADS[index])))
    return best[1] * float(np.sqrt(12))
