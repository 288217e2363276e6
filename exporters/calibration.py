"""Blurred faces from a folder of sharp ones, to calibrate and verify full integer quantisation."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from deblur_zoo.blur.kernels import standard_test_bank
from deblur_zoo.data.face_store import central_crop, load_faces
from deblur_zoo.data.synthesis import degrade

NOISE = 0.01
# The converter's ranges include the largest value of every feature. The more faces, the rarer that value, and the
# coarser the steps of all others.
LARGEST_CALIBRATION = 24
CHECKED = 8


@dataclass(frozen=True)
class BlurredFaces:
    """Blurred faces, float32 (N, H, W, 3) in [0, 1], of 8 bits.

    Attributes:
        calibration: faces that set the quantisation ranges.
        checked: other faces, for the comparison.
    """

    calibration: np.ndarray
    checked: np.ndarray


def blurred_faces(folder, height, width, seed=0):
    """Faces of a folder, each blurred by one of the test kernels, with noise.

    Args:
        folder: aligned sharp faces, as ``deblur_zoo.data.face_store.load_faces`` takes them.
        height, width: of the result; faces of 128x128 are resized to it.
        seed: of the noise.

    Returns:
        BlurredFaces: up to 24 faces for calibration and 8 others.

    Raises:
        FileNotFoundError: no usable faces.
        ValueError: fewer than 16 faces.
    """
    store = load_faces([folder], limit=LARGEST_CALIBRATION + CHECKED)
    if len(store) < 2 * CHECKED:
        raise ValueError(f"{folder} has {len(store)} faces, but int8 needs at least {2 * CHECKED}")
    faces, kernels = central_crop(store.faces), standard_test_bank()
    # Neighbours in a bank have the same size: steps of 7 go through all sizes.
    blurred = [
        degrade(face, kernels.kernel(7 * i % len(kernels)), NOISE, np.random.default_rng([seed, i]))
        for i, face in enumerate(faces)
    ]
    pictures = np.stack([_resized(picture, height, width) for picture in blurred]).astype(np.float32) / 255.0
    return BlurredFaces(pictures[CHECKED:], pictures[:CHECKED])


def _resized(picture, height, width):
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))
