"""Features of a network that are zero for every picture, because their ReLUs have died."""

from collections.abc import Iterable, Mapping

import numpy as np
from keras import Model, layers, ops

from deblur_zoo import zoo
from deblur_zoo.annotations import Array, StrPath
from deblur_zoo.blur.kernels import standard_test_bank
from deblur_zoo.data.face_store import load_faces
from deblur_zoo.faces.alignment import CROP_SIZE
from deblur_zoo.layers.layer_calls import watch_layer_calls
from trainers.validation.deblurring_validation import DevelopmentSet

BATCH = 8


def dead_inputs(preset: StrPath, faces: StrPath, weights: StrPath | None = None, limit: int = 64) -> list[str]:
    """Lines of text: how many input channels of each layer are zero at every pixel of every blurred face.

    Args:
        preset: name or folder.
        faces: folder of aligned sharp crops, to be blurred by the test kernels.
        weights: a .weights.h5 file to use instead of the preset's own, or None.
        limit: number of faces to use.

    Raises:
        ValueError, OSError: a preset, weights or faces that cannot be used.
    """
    model = zoo.load(preset, weights=weights is None)
    if weights is not None:
        zoo.load_initial_weights(model, weights)
    store = load_faces([faces], minimum_size=CROP_SIZE, limit=limit)
    blurred = DevelopmentSet(store.faces, standard_test_bank()).blurred / 255.0
    batches = (blurred[start : start + BATCH].astype("float32") for start in range(0, len(blurred), BATCH))
    return [*report(largest_inputs(model, batches)), f"over {len(blurred)} faces."]


def largest_inputs(model: Model, batches: Iterable[Array]) -> dict[str, Array]:
    """The largest magnitude of each channel of each layer's input.

    Args:
        model: a built model that takes (N, H, W, 3) images and runs eagerly. Its convolutions and dense layers may be
            nested and used several times; their features are channels last.
        batches: float arrays (N, H, W, 3).

    Returns:
        dict from a layer's path to float (channels,), in the order in which the layers run.
    """
    found = {}

    def measure(layer, inputs, outputs):
        values = np.abs(ops.convert_to_numpy(ops.cast(inputs, "float32")))
        largest = values.max(axis=tuple(range(values.ndim - 1)))
        found[layer.path] = np.maximum(found.get(layer.path, 0.0), largest)

    kinds = (layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Dense)
    with watch_layer_calls(model, kinds, measure):
        for batch in batches:
            model(batch, training=False)
    return found


def report(largest: Mapping[str, Array]) -> list[str]:
    """Lines of text: the layers with dead inputs, most dead ones first, then the sum over all layers.

    Args:
        largest: as from ``largest_inputs``.
    """
    dead = {path: (int((values == 0).sum()), len(values)) for path, values in largest.items()}
    lines = [
        f"{count:6d} of {channels:5d}  {path}"
        for path, (count, channels) in sorted(dead.items(), key=lambda item: -item[1][0] / item[1][1])
        if count
    ]
    count, channels = (sum(numbers) for numbers in zip(*dead.values(), strict=True))
    return [
        *lines,
        f"{count:6d} of {channels:5d}  input channels of all layers ({100 * count / channels:.1f} %) are zero",
    ]
