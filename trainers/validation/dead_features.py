"""Find features of a network that are zero for every face, because their ReLUs have died.

    python -m trainers.validation.dead_features --preset two_step_gan_lite --faces crops/development
    python -m trainers.validation.dead_features --preset two_step_gan_lite --faces crops/development \
        --weights run/best.weights.h5

Counts, for each convolution and dense layer, the input channels that are zero at every pixel of every blurred face.
Their sources get no gradient, so more training does not revive them: use a lower learning rate from the start, or
reinitialise the dead layers.
"""

import numpy as np
from absl import flags

from deblur_zoo import zoo
from deblur_zoo.blur.kernels import standard_test_bank
from deblur_zoo.data.face_store import load_faces
from deblur_zoo.faces.alignment import CROP_SIZE
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.layers.layer_calls import watch_layer_calls

BATCH = 8


def largest_inputs(model, batches):
    """The largest magnitude of each channel of each layer's input.

    Args:
        model: a built model that takes (N, H, W, 3) images and runs eagerly. Its convolutions and dense layers may be
            nested and used several times; their features are channels last.
        batches: float arrays (N, H, W, 3).

    Returns:
        dict from a layer's path to float (channels,), in the order in which the layers run.
    """
    from keras import layers, ops

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


def report(largest):
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


def dead_features(arguments):
    """Measure and print. Returns the exit code."""
    command_line_tools.require_flags(arguments, "preset", "faces")
    from trainers.validation.deblurring_validation import DevelopmentSet

    values = flags.FLAGS
    try:
        model = zoo.load(values.preset, weights=values.weights is None)
        if values.weights is not None:
            zoo.load_initial_weights(model, values.weights)
        store = load_faces([values.faces], minimum_size=CROP_SIZE, limit=values.limit)
    except ValueError as error:
        raise UsageError(str(error)) from None
    blurred = DevelopmentSet(store.faces, standard_test_bank()).blurred / 255.0
    batches = (blurred[start : start + BATCH].astype("float32") for start in range(0, len(blurred), BATCH))
    print(*report(largest_inputs(model, batches)), f"over {len(blurred)} faces.", sep="\n")
    return 0


def main():
    flags.DEFINE_string("preset", None, "name or folder of a preset")
    flags.DEFINE_string("faces", None, "folder of aligned sharp crops, to be blurred by the test kernels")
    flags.DEFINE_string("weights", None, "a .weights.h5 file to use instead of the preset's own")
    flags.DEFINE_integer("limit", 64, "number of faces to use", lower_bound=1)
    command_line_tools.run(dead_features, "python -m trainers.validation.dead_features")


if __name__ == "__main__":
    main()
