"""Start a wide network as a copy of a narrow trained one (after Chen et al. 2016, Net2Net, arXiv:1511.05641).

Net2Net copies channels at random and divides the weights that read them. Here the new channels keep their random
initial kernels, and the existing channels ignore them at first: the wide network computes the same function as the
narrow one, and the new channels differ from the first step on.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from deblur_zoo import zoo

# Largest difference of the two networks' outputs, for images in [0, 1]: float32 rounding through a hundred layers.
TOLERANCE = 1e-3
_OUTPUT_AXIS = {layers.Conv2DTranspose: -2}


def load_starting_weights(model: keras.Model, average: keras.Model, source: str | Path) -> None:
    """Load initial weights into both copies of the network, widening those of a narrower network of the same class.

    Args:
        model: in the precision of the training.
        average: its moving average, float32.
        source: a preset, a folder or a ``.weights.h5`` file.

    Raises:
        ValueError, FileNotFoundError: the weights cannot be used for this network.
    """
    narrow = None if str(source).endswith(".weights.h5") else zoo.load(source)
    if type(narrow) is type(average) and narrow.count_params() < average.count_params():
        widen(narrow, average)
        print(f"Starting from {source}, widened to {average.count_params():,} parameters.", flush=True)
    else:
        zoo.load_initial_weights(average, source)
    model.set_weights(average.get_weights())


def widen(narrow: keras.Model, wide: keras.Model) -> None:
    """Set the weights of a wide network so that it computes the same function as a narrow one.

    Args:
        narrow: a trained, built model.
        wide: a built float32 model of the same class, whose layers are at least as wide. Layers that only it has must
            not change its output, such as a branch whose last layer is zero.

    Raises:
        ValueError: missing or narrower layers, or layers whose inputs are concatenated from widened ones, so that the
            two outputs differ.
    """
    sources, targets = dict(_layers_with_weights(narrow)), dict(_layers_with_weights(wide))
    if missing := sorted(sources.keys() - targets.keys()):
        raise ValueError(f"only the narrow network has the layer {missing[0]}")
    for path, source in sources.items():
        _fill(path, source, targets[path])
    _compare(narrow, wide)


def _layers_with_weights(layer, path=""):
    """(path, layer) of the layers that own weights, by attribute, so that the paths of two sizes agree."""
    found = []
    for name, value in sorted(vars(layer).items()):
        if name.startswith("_"):
            continue
        items = enumerate(value) if isinstance(value, (list, tuple)) else [("", value)]
        for index, item in items:
            if isinstance(item, layers.Layer):
                found += _layers_with_weights(item, f"{path}/{name}{index}")
    own = {id(weight) for weight in layer.weights} - {id(weight) for _, inner in found for weight in inner.weights}
    return [(path, layer), *found] if own and not found else found


def _fill(path, source, target):
    axis = _OUTPUT_AXIS.get(type(target), -1)
    filled = []
    for old, new in zip(source.get_weights(), target.get_weights(), strict=True):
        if old.ndim != new.ndim or any(a > b for a, b in zip(old.shape, new.shape, strict=True)):
            raise ValueError(f"{path} has the shape {new.shape}, too narrow for {old.shape}")
        if old.ndim == 4 and old.shape[:2] != new.shape[:2]:
            raise ValueError(f"{path} has kernels of {new.shape[:2]} pixels, the narrow network {old.shape[:2]}")
        new = np.array(new)
        if new.ndim > 1:
            # What the old outputs take from the new inputs.
            np.moveaxis(new, axis, -1)[..., : old.shape[axis]] = 0
        new[tuple(slice(0, size) for size in old.shape)] = old
        filled.append(new)
    target.set_weights(filled)


def _compare(narrow, wide):
    images = np.random.default_rng(0).uniform(size=(1, 64, 64, 3)).astype("float32")
    difference = float(np.abs(np.asarray(narrow.run(images)) - np.asarray(wide.run(images))).max())
    if not difference <= TOLERANCE:
        raise ValueError(
            f"{type(wide).__name__} does not compute what the narrow network does (difference {difference:.2g}): some "
            "layers take widened channels beside others"
        )
