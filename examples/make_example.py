"""Recreate the example images: scikit-image's astronaut blurred, her face aligned, and a blurred copy of that.

python -m examples.make_example
"""

from pathlib import Path

import numpy as np
from skimage import data

from deblur_zoo.blur.kernels import random_kernel
from deblur_zoo.data import host_blur
from deblur_zoo.faces import align
from deblur_zoo.files import pictures

FOLDER = Path(__file__).parent
SHARP = FOLDER / "astronaut_face.png"
BLURRED = FOLDER / "astronaut_face_blurred.png"
PHOTO = FOLDER / "astronaut_blurred.jpg"
# Eyes, nose tip and mouth corners in skimage.data.astronaut(), as found by mtcnn, to a tenth of a pixel.
POINTS = np.array([[203.5, 100.1], [245.4, 102.2], [224.2, 126.4], [201.8, 138.6], [244.4, 140.4]])
MARGIN = 16
KERNEL_SIZE = 21
SEED = 3
SIGMA = 0.01


def make():
    """The sharp and the blurred face, uint8 (128, 128, 3) each."""
    # A margin wider than half the kernel, so that the blur moves real pixels across the crop's border.
    face, _ = align(data.astronaut(), POINTS, margin=MARGIN)
    inside = slice(MARGIN, -MARGIN)
    return face[inside, inside], _blurred(face)[inside, inside]


def make_photo():
    """The whole photo, blurred by the same kernel: uint8 (512, 512, 3)."""
    return _blurred(data.astronaut())


def _blurred(pixels):
    generator = np.random.default_rng(SEED)
    kernel = random_kernel("trajectory", KERNEL_SIZE, generator)
    blurred = host_blur.blur(pixels[None].astype(np.float32) / 255, [kernel])[0]
    noisy = blurred + SIGMA * generator.standard_normal(blurred.shape)
    return np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    for path, pixels in zip((SHARP, BLURRED, PHOTO), (*make(), make_photo()), strict=True):
        pictures.write(path, pixels, quality=90)
        print(path)
