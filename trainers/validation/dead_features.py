"""Find features of a network that are zero for every face, because their ReLUs have died.

    python -m trainers.validation.dead_features --preset two_step_gan_lite --faces crops/development
    python -m trainers.validation.dead_features --preset two_step_gan_lite --faces crops/development \
        --weights run/best.weights.h5

Counts, for each convolution and dense layer, the input channels that are zero at every pixel of every blurred face.
Their sources get no gradient, so more training does not revive them: use a lower learning rate from the start, or
reinitialise the dead layers.
"""

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError

FLAGS = flags.FLAGS


def dead_features(arguments):
    """Measure and print. Returns the exit code."""
    command_line_tools.require_flags(arguments, "preset", "faces")
    # Heavy imports after the flags have been checked.
    from trainers.validation.layer_inputs import dead_inputs

    try:
        lines = dead_inputs(FLAGS.preset, FLAGS.faces, FLAGS.weights, FLAGS.limit)
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(*lines, sep="\n")
    return 0


def main():
    flags.DEFINE_string("preset", None, "name or folder of a preset")
    flags.DEFINE_string("faces", None, "folder of aligned sharp crops, to be blurred by the test kernels")
    flags.DEFINE_string("weights", None, "a .weights.h5 file to use instead of the preset's own")
    flags.DEFINE_integer("limit", 64, "number of faces to use", lower_bound=1)
    command_line_tools.run(dead_features, "trainers.validation.dead_features")


if __name__ == "__main__":
    main()
