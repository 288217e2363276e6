"""The gradient of each loss at the restored image, and the weight that makes it a tenth of the first loss's.

    python -m benchmarks.loss_balance --preset one_step_lite --faces crops/development --identity_network FILE

For every loss of the recipe's last stage whose inputs are available, computes the root mean square over pixels and
faces of its gradient with respect to the restored image. TensorFlow only.
"""

import numpy as np
import tensorflow as tf
from absl import flags

from deblur_zoo import zoo
from deblur_zoo.blur.kernels import standard_test_bank
from deblur_zoo.data.face_store import central_crop, load_faces
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError
from trainers.methods.registry import method_class
from trainers.runs.preparation import load_networks
from trainers.runs.recipe import read_recipe
from trainers.validation.deblurring_validation import DevelopmentSet

FLAGS = flags.FLAGS
flags.DEFINE_string("preset", "one_step_lite", "name or folder of a preset")
flags.DEFINE_string("faces", None, "folder of aligned sharp crops")
flags.DEFINE_string("labels", None, "folder of their parsing labels, for losses that need them")
flags.DEFINE_string("identity_network", None, "Keras file of a face recognition network")
flags.DEFINE_list("networks", [], "files of the recipe's other feature networks, as name=file")
flags.DEFINE_integer("limit", 64, "number of faces to use", lower_bound=1)
flags.DEFINE_string("weights", None, "a .weights.h5 file to use instead of the preset's own")
BATCH = 8


def measure(arguments):
    """Print the table. Returns the exit code."""
    command_line_tools.require_flags(arguments, "preset", "faces")
    try:
        recipe = read_recipe(zoo.preset_folder(FLAGS.preset) / "recipe.json")
        files = {"identity": FLAGS.identity_network} if FLAGS.identity_network else {}
        networks = load_networks(recipe, files | command_line_tools.table("networks"))
        stage, kind = recipe["stages"][-1], method_class(recipe["method"])
        # One term at a time, to find those that can be computed from the given inputs.
        terms = {term: kind({term: 1.0}, None, networks, **stage["options"]) for term in stage["losses"]}
        model = zoo.load(FLAGS.preset, weights=FLAGS.weights is None)
        if FLAGS.weights:
            zoo.load_initial_weights(model, FLAGS.weights)
        store = load_faces([FLAGS.faces], limit=FLAGS.limit, labels=[FLAGS.labels] if FLAGS.labels else None)
    except ValueError as error:
        raise UsageError(str(error)) from None
    terms = {
        term: method
        for term, method in terms.items()
        if term not in method.adversarial and (store.labels is not None or not method.needs_labels)
    }
    development = DevelopmentSet(store.faces, standard_test_bank())
    labels = None if store.labels is None else central_crop(store.labels[..., None])[..., 0]
    squares = {}
    for start in range(0, len(store), BATCH):
        part = slice(start, start + BATCH)
        batch = {
            name: tf.constant(pictures[part], tf.float32) / 255.0
            for name, pictures in (("sharp", development.sharp), ("blurred", development.blurred))
        }
        if labels is not None:
            batch["labels"] = tf.constant(labels[part], tf.int32)
        outputs = next(iter(terms.values())).outputs(model, batch)
        for term, method in terms.items():
            with tf.GradientTape() as tape:
                tape.watch(outputs["restored"])
                loss = method.terms(batch, outputs, None)[term]
            gradient = tape.gradient(loss, outputs["restored"])
            if gradient is not None:
                # Times the batch size: the gradient of each image's own loss.
                values = np.mean(np.square(gradient * len(batch["sharp"])), axis=(1, 2, 3))
                squares.setdefault(term, []).extend(values)
    root = {term: float(np.sqrt(np.mean(values))) for term, values in squares.items()}
    first = next(iter(root))
    for term, size in root.items():
        print(f"{term:16s} gradient {size:.3e}   weight for a tenth of {first}'s: {0.1 * root[first] / size:.1e}")
    return 0


def main():
    command_line_tools.run(measure, "benchmarks.loss_balance")


if __name__ == "__main__":
    main()
