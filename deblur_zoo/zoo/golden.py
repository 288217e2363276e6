"""Golden outputs: images and a preset's results for them, to check a server or a port without Keras.

``hub_models/<preset>/golden.npz`` holds "images", uint8 (N, H, W, 3); "restored", uint16 of the same shape, 65535 for
1.0; "weights_sha256", of the weights that it was made with. ``python -m trainers.publishing.publish`` writes it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deblur_zoo import zoo
from deblur_zoo.files.atomic_file import atomic_path

FILE = "golden.npz"
# Two pictures, so that a mixed-up batch is found; small, since every preset carries them.
COUNT, SIZE = 2, 64
_LEVELS = 65535


@dataclass(frozen=True)
class Golden:
    """Pictures and a preset's answers.

    Attributes:
        images: uint8 (N, H, W, 3), RGB.
        restored: float32 (N, H, W, 3) in [0, 1], exact to 1 / 131070.
        weights_sha256: of the weight file.
    """

    images: np.ndarray
    restored: np.ndarray
    weights_sha256: str


def pictures(count=COUNT, size=SIZE, seed=0):
    """Synthetic blurred images: soft discs on gradients, with a little noise.

    Returns:
        uint8 (count, size, size, 3), RGB; the same on every machine.
    """
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:size, 0:size] / size
    drawn = []
    for _ in range(count):
        canvas = np.multiply.outer(0.3 + 0.4 * rows, generator.uniform(0.6, 1, 3))
        for _ in range(12):
            y, x, radius = generator.uniform([0, 0, 0.03], [1, 1, 0.2])
            # An edge that takes a tenth of the picture, as after a blur of 13 pixels in 128.
            edge = np.clip((radius - np.hypot(rows - y, columns - x)) / 0.1 + 0.5, 0, 1)[..., None]
            canvas = canvas * (1 - edge) + edge * generator.uniform(0, 1, 3)
        drawn.append(canvas + generator.normal(0, 0.01, canvas.shape))
    return np.rint(255 * np.clip(drawn, 0, 1)).astype(np.uint8)


def write(model, folder, weights_sha256):
    """Run a model on ``pictures`` and write its golden outputs into a preset's folder, atomically.

    Args:
        model: a ``Deblurrer`` with the preset's weights, as they were written.
        folder: the preset's.
        weights_sha256: of the weight file.
    """
    from keras import ops

    images = pictures()
    restored = ops.convert_to_numpy(model(images.astype(np.float32) / 255, training=False))
    with atomic_path(Path(folder, FILE)) as temporary:
        np.savez_compressed(
            temporary,
            images=images,
            restored=np.rint(_LEVELS * restored).astype(np.uint16),
            weights_sha256=np.array(weights_sha256),
        )


def read(preset):
    """A preset's golden outputs.

    Args:
        preset: a name in ``list_models()``, a preset's folder, or a ``golden.npz`` file.

    Raises:
        FileNotFoundError: the preset has none, or the file does not exist.
        ValueError: an unknown preset; a damaged file, or one that holds something else.
    """
    path = Path(preset)
    if path.suffix != ".npz":
        path = Path(zoo.preset_folder(preset), FILE)
    if not path.is_file():
        raise FileNotFoundError(f"{preset} has no golden outputs: there is no {path}.")
    try:
        with np.load(path, allow_pickle=False) as content:
            images, restored, sha256 = (content[key] for key in ("images", "restored", "weights_sha256"))
    # The readers of zip files and arrays raise about ten kinds of exceptions on invalid bytes.
    except Exception as error:
        raise ValueError(f"{path} holds no golden outputs, or is damaged: {error}.") from error
    kinds = (images.dtype, restored.dtype)
    if kinds != (np.uint8, np.uint16) or images.ndim != 4 or images.shape != restored.shape or images.shape[-1] != 3:
        raise ValueError(
            f"{path} holds no golden outputs: images of uint8 and restored of uint16, (N, H, W, 3), are needed, not "
            f"{images.dtype} {images.shape} and {restored.dtype} {restored.shape}."
        )
    return Golden(images, restored.astype(np.float32) / _LEVELS, str(sha256))
