"""Start a wide network as a copy of a narrow trained one (after Chen et al. 2016, Net2Net, arXiv:1511.05641).

Net2Net copies channels at random and divides the weights that read them. Here the new channels keep their random
initial kernels, and the existing channels ignore them at first: the wide network computes the same function as the
narrow one, and the new channels differ from the first step on.

A layer whose parts concatenate features says so: ``input_parts()`` and ``output_parts()`` return {name of an inner
layer: the numbers of channels that are concatenated}.
"""

from itertools import accumulate
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
    sources, targets = _own_weights(narrow), _own_weights(wide)
    if missing := sorted(sources.keys() - targets.keys()):
        raise ValueError(f"only the narrow network has the layer {missing[0]}")
    narrow_parts, wide_parts = _parts(narrow), _parts(wide)
    for path, (_, weights) in sources.items():
        pairs = zip(narrow_parts.get(path, (None, None)), wide_parts.get(path, (None, None)), strict=True)
        _fill(path, weights, *targets[path], *[_positions(*pair) if pair[0] else None for pair in pairs])
    _compare(narrow, wide)


def _own_weights(model):
    """{path: (layer, its own weights)} of all layers."""
    found, seen = {}, set()
    # The innermost first.
    for path, layer in reversed(list(_layers(model))):
        own = [weight for weight in layer.weights if id(weight) not in seen]
        seen |= {id(weight) for weight in own}
        if own:
            found[path] = layer, own
    return found


def _parts(model):
    """{path of a layer: (parts of its inputs, parts of its outputs)}, None where nothing is concatenated."""
    found = {}
    for path, layer in _layers(model):
        inputs = layer.input_parts() if hasattr(layer, "input_parts") else {}
        outputs = layer.output_parts() if hasattr(layer, "output_parts") else {}
        for name in inputs | outputs:
            found[f"{path}/{name}"] = inputs.get(name), outputs.get(name)
    return found


def _layers(value, path=""):
    """(path, layer) of all layers within, by attribute, so that the paths of two sizes agree."""
    if isinstance(value, layers.Layer):
        yield path, value
        for name, inner in sorted(vars(value).items()):
            if not name.startswith("_"):
                yield from _layers(inner, f"{path}/{name}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _layers(inner, f"{path}/{index}")


def _positions(narrow, wide):
    """Where concatenated channels of a narrow network are in a wide one, which may have more parts at the end."""
    starts = accumulate(wide, initial=0)
    return np.concatenate([start + np.arange(count) for start, count in zip(starts, narrow, strict=False)])


def _fill(path, sources, layer, targets, inputs, outputs):
    axis = _OUTPUT_AXIS.get(type(layer), -1)
    for source, target in zip(sources, targets, strict=True):
        old, new = keras.ops.convert_to_numpy(source), np.array(keras.ops.convert_to_numpy(target))
        if old.ndim != new.ndim or any(a > b for a, b in zip(old.shape, new.shape, strict=True)):
            raise ValueError(f"{path} has the shape {new.shape}, too narrow for {old.shape}")
        if old.ndim == 4 and old.shape[:2] != new.shape[:2]:
            raise ValueError(f"{path} has kernels of {new.shape[:2]} pixels, the narrow network {old.shape[:2]}")
        places = [np.arange(size) for size in old.shape]
        if outputs is not None:
            places[axis if new.ndim > 1 else 0] = outputs
        if new.ndim > 1:
            if inputs is not None:
                places[-3 - axis] = inputs
            # What the old outputs take from the new inputs.
            np.moveaxis(new, axis, -1)[..., places[axis]] = 0
        new[np.ix_(*places)] = old
        target.assign(new)


def _compare(narrow, wide):
    images = np.random.default_rng(0).uniform(size=(1, 64, 64, 3)).astype("float32")
    difference = float(np.abs(np.asarray(narrow.run(images)) - np.asarray(wide.run(images))).max())
    if not difference <= TOLERANCE:
        raise ValueError(
            f"{type(wide).__name__} does not compute what the narrow network does (difference {difference:.2g}): some "
            "layers take widened channels beside others, or new layers change the output"
        )
