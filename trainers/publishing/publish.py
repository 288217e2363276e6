"""Publish a finished run as a preset: float16 weights, measured, with a model card and an index entry.

    python -m trainers.publishing.publish runs/lite --development crops/development \
        --identity_network mobilefacenet.keras \
        --data "CelebA (7,475 faces) and MEBeauty (1,216 faces)" --license "non-commercial research use"

Writes into the preset's folder: model.weights.h5, config.json, training.json, metrics.json, README.md and, for a
deblurrer, golden.npz (see ``deblur_zoo.zoo.golden``), and the preset's row of index.json. Everything is prepared in a
temporary folder first; if the measurement fails, nothing changes. Needs the extra `eval`.
"""

import inspect

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError

FLAGS = flags.FLAGS
flags.DEFINE_string("run", None, "folder of a finished run of `python -m trainers`; also accepted as an argument")
flags.DEFINE_string("preset", None, "name or folder of the preset to publish to; default: the run's own")
flags.DEFINE_string("development", None, "folder of aligned development faces to measure on")
flags.DEFINE_string("development_labels", None, "folder of their labels, to measure a parser")
flags.DEFINE_string("cross_validation", None, "a parser's scores.json of trainers.datasets.cross_validation")
flags.DEFINE_string("identity_network", None, "Keras file of a face recognition network, for the identity cosine")
flags.DEFINE_string("data", None, "training data, for the card")
flags.DEFINE_string("license", None, "licence of the weights, which follows from the data")
flags.DEFINE_string("device", None, "training hardware, for the card; default: from the run's record")
flags.DEFINE_integer("earlier_steps", 0, "steps of the earlier runs that this one continued", lower_bound=0)
flags.DEFINE_float("earlier_hours", 0.0, "hours of earlier runs", lower_bound=0)
flags.DEFINE_string("note", None, "a sentence for the card about special circumstances of this training")
flags.DEFINE_integer("limit", None, "use only the first N faces", lower_bound=1)


def publish(arguments):
    """Check the flags, convert, measure and publish. Returns the exit code."""
    if arguments and not FLAGS.run:
        FLAGS.run = arguments[0]
        arguments = arguments[1:]
    command_line_tools.require_flags(arguments, "run", "development", "data", "license")
    try:
        # Heavy imports after the flags have been checked.
        from trainers.publishing.publication import publish_run

        publish_run(**{name: FLAGS[name].value for name in inspect.signature(publish_run).parameters})
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed: pip install 'deblur-zoo[eval]'") from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    return 0


def main():
    command_line_tools.run(publish, "trainers.publishing.publish")


if __name__ == "__main__":
    main()
