"""Run a model on any number of faces during training, and helpers for all measures."""

import numpy as np
from keras import ops

from deblur_zoo.execution import run
from deblur_zoo.faces.alignment import CROP_SIZE
from deblur_zoo.features.identity import IdentityNetwork
from deblur_zoo.files.batches import in_batches
from deblur_zoo.metrics.image_quality import PSNR_CAP


def run_on_faces(model, faces, batch_size):
    """A model's output for uint8 (N, H, W, 3), as a NumPy array (N, ...)."""
    return in_batches(lambda part: run(model, part.astype(np.float32) / 255), batch_size, faces, fill=True)


def identity_network(path, crop_size):
    """The identity network of a Keras file for the centre of the canonical crop; None without a path.

    Raises:
        FileNotFoundError, ValueError: the file does not exist, or is not an identity network.
    """
    if not path:
        return None
    margin = (CROP_SIZE - crop_size) // 2
    return IdentityNetwork(path, region=(margin, margin, crop_size, crop_size))


def as_float(images):
    return ops.cast(images, "float32") / 255.0


def capped_mean(values):
    return float(np.mean(np.minimum(values, PSNR_CAP), dtype=np.float64))
