"""Run a model on any number of faces during training, and helpers for all measures."""

import numpy as np
from keras import ops

from deblur_zoo.execution import run
from deblur_zoo.faces.alignment import CROP_SIZE

# Rounding one image to 8 bits already limits the PSNR to 59 dB.
PSNR_CAP = 60.0


def run_on_faces(model, faces, batch_size):
    """A model's output for uint8 (N, H, W, 3), as a NumPy array (N, ...)."""
    return in_batches(lambda part: run(model, part.astype(np.float32) / 255), batch_size, faces)


def in_batches(function, batch_size, *arrays):
    """Apply a function of batches to arrays of any length N.

    The last batch is padded with its first row, so that a compiled function sees one shape.

    Returns:
        the function's results, an array (N, ...) or a dict of them.
    """
    results = []
    for start in range(0, len(arrays[0]), batch_size):
        parts = [array[start : start + batch_size] for array in arrays]
        filling = batch_size - len(parts[0])
        result = function(*(np.concatenate([part, np.repeat(part[:1], filling, axis=0)]) for part in parts))
        cut = slice(0, batch_size - filling)
        results.append({k: v[cut] for k, v in result.items()} if isinstance(result, dict) else result[cut])
    if isinstance(results[0], dict):
        return {name: np.concatenate([result[name] for result in results]) for name in results[0]}
    return np.concatenate(results)


def identity_network(path, crop_size):
    """The identity network of a Keras file for the centre of the canonical crop; None without a path.

    Raises:
        FileNotFoundError, ValueError: the file does not exist, or is not an identity network.
    """
    if not path:
        return None
    from deblur_zoo.features.identity import IdentityNetwork

    margin = (CROP_SIZE - crop_size) // 2
    return IdentityNetwork(path, region=(margin, margin, crop_size, crop_size))


def as_float(images):
    return ops.cast(images, "float32") / 255.0


def capped_mean(values):
    return float(np.mean(np.minimum(values, PSNR_CAP), dtype=np.float64))
