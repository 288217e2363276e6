"""How hard each loss pulls at the restored image, and the weights at which it pulls a tenth as hard as L2.

    python -m benchmarks.loss_balance --preset one_step_lite --faces crops/development --identity_network FILE

For every loss, the root mean square over pixels and faces of its gradient with respect to the restored image.
"""

from absl import flags

from deblur_zoo import command_line_tools
from deblur_zoo.command_line_tools import UsageError

FLAGS = flags.FLAGS
flags.DEFINE_string("preset", "one_step_lite", "name or folder of a preset with weights")
flags.DEFINE_string("faces", None, "folder of aligned sharp crops")
flags.DEFINE_string("identity_network", None, "Keras file of a face recognition network")
flags.DEFINE_integer("limit", 64, "how many faces to use", lower_bound=1)
flags.DEFINE_string("weights", None, "another .weights.h5 file than the preset's own")


def measure(arguments):
    """Print the table. Returns the exit code."""
    if arguments or not FLAGS.faces or not FLAGS.identity_network:
        raise UsageError("--faces and --identity_network are needed, and no other arguments; see --help")
    import numpy as np
    import tensorflow as tf

    from deblur_zoo import zoo
    from deblur_zoo.blur.kernels import standard_test_bank
    from deblur_zoo.data.face_store import load_faces
    from deblur_zoo.features.identity import IdentityNetwork
    from trainers.one_step import OneStepLosses
    from trainers.validation import DevelopmentSet

    try:
        model = zoo.load(FLAGS.preset, weights=FLAGS.weights is None)
        if FLAGS.weights:
            zoo.load_initial_weights(model, FLAGS.weights)
        network = IdentityNetwork(FLAGS.identity_network)
        faces = load_faces([FLAGS.faces], limit=FLAGS.limit).faces
    except ValueError as error:
        raise UsageError(str(error)) from None
    development = DevelopmentSet(faces, standard_test_bank())
    sizes = {name: [] for name in ("l2", "total_variation", "facial")}
    for start in range(0, len(faces), 8):
        sharp = tf.constant(development.sharp[start : start + 8], tf.float32) / 255.0
        blurred = tf.constant(development.blurred[start : start + 8], tf.float32) / 255.0
        restored = model(blurred, training=True)
        for name in sizes:
            losses = OneStepLosses({name: 1.0}, network)
            with tf.GradientTape() as tape:
                tape.watch(restored)
                loss = losses.terms(sharp, restored)[name]
            # Times the batch's length: the gradient of one image's own loss.
            gradient = tape.gradient(loss, restored) * len(sharp)
            sizes[name].extend(np.mean(np.square(gradient), axis=(1, 2, 3)))
    root = {name: float(np.sqrt(np.mean(values))) for name, values in sizes.items()}
    for name, size in root.items():
        print(f"{name:16s} gradient {size:.3e}   weight for a tenth of L2's: {0.1 * root['l2'] / size:.1e}")
    return 0


def main():
    command_line_tools.run(measure, "benchmarks.loss_balance")


if __name__ == "__main__":
    main()
