"""The size at which the network sees each face.

A network restores blur of the sizes that it was trained on, measured in its own pixels, so a face of 400 pixels with a
blur of 60 is restored best when it is shrunk, and one with a blur of 10 at its own size. What the network changes says
which: it hardly touches blur that is too large or too small for it, so the size with the largest correction is taken.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from deblur_zoo.restoration.blur_size import fit_blur
from deblur_zoo.restoration.face_mask import face_mask

# Above 256 pixels the network sharpens faces that are sharp: `python -m benchmarks.working_size` measures it.
SIZES = (96, 128, 192, 256)
# Of the smallest faces, which are enlarged to it.
SMALLEST = 64
# Corrections are compared times size**-_PREFERENCE: at a size too large for the blur some of what changes is wrong.
_PREFERENCE = 0.12
# The search ends where the correction falls to this share of the best one.
_DECLINE = 0.85
# Below this root mean square, in [0, 1], a correction says nothing about the size: a grey level.
NEGLIGIBLE = 1 / 255
# `python -m benchmarks.working_size` has the error rates of these limits. A correction of this root mean square, in
# [0, 1], restores a blur that has left no detail, if it undoes a blur of at least this length in pixels of the crop and
# does not remove noise or fine texture.
_STRONG = 2.0 / 255
_LENGTH = 1.0
# Slight blur has left detail, and a correction that amplifies it by this root mean square restores it. Removing noise
# makes the same correction negative.
_SHARPENING = 0.35 / 255
# Detail is what a Gaussian of this sigma in pixels removes.
_DETAIL = 1.0


def candidates(face_size):
    """Working sizes for a face whose canonical crop covers ``face_size`` pixels of the photo, ascending.

    Never above the photo's resolution, except that a face under ``SMALLEST`` is enlarged. A face between two of
    ``SIZES`` is also seen at its own size, rounded down to a multiple of 8.
    """
    own = min(SIZES[-1], max(SMALLEST, int(face_size) // 8 * 8))
    return (*(size for size in SIZES if size <= 0.9 * own), own)


@dataclass
class Correction:
    """What the network adds to a face at one working size.

    Attributes:
        size: the working size in pixels.
        crop: float32 (size, size, 3) in [0, 1], the blurred face.
        residual: float32 (size, size, 3), restored minus blurred, in [-1, 1].
        strength: root mean square over the face, in [0, 1], of the residual's means over 4x4 pixels. In these, noise
            that the network removed hardly counts.
    """

    size: int
    crop: np.ndarray
    residual: np.ndarray
    strength: float

    @functools.cached_property
    def sharpening(self):
        """How much of the residual amplifies the face's own detail: its projection on that.

        A root mean square over the face, in [-1, 1]; negative where the network smooths.
        """
        weights = face_mask(self.size)[..., None]
        detail = self.crop - cv2.GaussianBlur(self.crop, (0, 0), _DETAIL)
        total = 3 * weights.sum() * (weights * detail**2).sum()
        return float((weights * self.residual * detail).sum() / np.sqrt(total)) if total > 0 else 0.0

    @functools.cached_property
    def blur(self):
        """The ``Blur``, in pixels of the crop, that it undoes."""
        return fit_blur(self.crop, self.residual)

    @property
    def blurred(self):
        """Whether the face needs it. One that does not is sharp, and left alone."""
        return (self.strength >= _STRONG and self.blur.length >= _LENGTH) or self.sharpening >= _SHARPENING


def corrections_of(crops, restore):
    """What the network adds to crops of one size.

    Args:
        crops: float32 (N, S, S, 3) in [0, 1].
        restore: as for ``best_corrections``.

    Returns:
        list of N Correction.
    """
    residuals = np.asarray(restore(crops), np.float32) - crops
    size = crops.shape[1]
    blocks, mask = _block_means(residuals), _block_means(face_mask(size)[None, ..., None])
    strengths = np.sqrt((blocks**2 * mask).sum(axis=(1, 2, 3)) / (3 * mask.sum()))
    return [
        Correction(size, *parts, float(strength)) for *parts, strength in zip(crops, residuals, strengths, strict=True)
    ]


def _block_means(images):
    count, size, _, channels = images.shape
    return images.reshape(count, size // 4, 4, size // 4, 4, channels).mean(axis=(2, 4))


def best_corrections(crop_at, face_sizes, restore):
    """The correction of each face at its best working size.

    Sizes are tried from the smallest up, all faces of a size in one batch.

    Args:
        crop_at: function of (face's index, size) to its crop, float32 (size, size, 3) in [0, 1].
        face_sizes: pixels of the photo that each face's canonical crop covers.
        restore: function of float32 (N, S, S, 3) in [0, 1] to the same, the network.

    Returns:
        list of Correction, one a face.
    """
    return _search(crop_at, face_sizes, restore)[0]


def _search(crop_at, face_sizes, restore):
    """The best correction of each face, and the one that was tried last, at the largest size."""
    remaining = {index: list(candidates(size)) for index, size in enumerate(face_sizes)}
    best, last = {}, {}
    while remaining:
        size = min(sizes[0] for sizes in remaining.values())
        group = [index for index, sizes in remaining.items() if sizes[0] == size]
        found = corrections_of(np.stack([crop_at(index, size) for index in group]), restore)
        for index, correction in zip(group, found, strict=True):
            remaining[index].pop(0)
            last[index] = correction
            if index not in best or best[index].strength < NEGLIGIBLE or _score(correction) > _score(best[index]):
                best[index] = correction
            elif _score(correction) < _DECLINE * _score(best[index]):
                remaining[index].clear()
            if not remaining[index]:
                del remaining[index]
    return tuple([found[index] for index in range(len(face_sizes))] for found in (best, last))


def face_corrections(crop_at, face_sizes, restore):
    """As ``best_corrections``, for faces that may be sharp: shrunk far, a sharp face is changed too.

    A face that is sharp at its own size gets the correction of that size.
    """
    corrections, last = _search(crop_at, face_sizes, restore)
    for index, size in enumerate(face_sizes):
        own = candidates(size)[-1]
        if corrections[index].size < own:
            at_own = last[index]
            if at_own.size < own:
                (at_own,) = corrections_of(crop_at(index, own)[None], restore)
            if not at_own.blurred:
                corrections[index] = at_own
    return corrections


def _score(correction):
    return correction.strength * correction.size**-_PREFERENCE
