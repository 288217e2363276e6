"""Measure a parser on labelled faces that it was not trained on, by K-fold cross-validation over a folder of pairs.

    python -m trainers.datasets.cross_validation --preset face_parser --pairs pairs/helen --folds 5 --repeat 40 \
        --faces crops/a,pairs/synthetic --labels labels/a, --out folds

For each fold, `python -m trainers` trains a parser on --faces and --repeat times the pairs outside the fold. Its last
weights, since the fold must not influence the choice, label the fold's faces. Pixels are counted over all folds.
scores.json in OUT has F-scores by component (Shen et al. 2020, table 3); `python -m trainers.publishing.publish
--cross_validation OUT/scores.json` puts them on the card. Run the same command to resume after an interruption.
"""

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError

FLAGS = flags.FLAGS


def _define_flags():
    flags.DEFINE_string("preset", "face_parser", "name of a preset of kind parser, or its folder")
    flags.DEFINE_string("pairs", None, "folder of aligned labelled faces, NAME.png and NAME_label.png")
    flags.DEFINE_integer("folds", 5, "number of folds", lower_bound=2)
    flags.DEFINE_integer("repeat", 1, "how many times to repeat the pairs outside the fold", lower_bound=1)
    flags.DEFINE_list("faces", [], "further folders of aligned crops to train on, separated by commas")
    flags.DEFINE_list("labels", [], "folders of their labels, one for each of --faces")
    flags.DEFINE_string("recipe", None, "a recipe to use instead of the preset's own")
    flags.DEFINE_string("init_from", None, "initial weights for every fold; they must not have seen the pairs")
    flags.DEFINE_string("out", None, "folder for the folds' runs and scores.json")


def run_command(arguments):
    """Check the flags, then train and measure. Returns the exit code."""
    command_line_tools.require_flags(arguments, "pairs", "out")
    # Heavy imports after the flags have been checked.
    from trainers.datasets.folds import Training, cross_validate

    training = Training(FLAGS.preset, FLAGS.faces, FLAGS.labels, FLAGS.repeat, FLAGS.recipe, FLAGS.init_from)
    try:
        scores = cross_validate(training, FLAGS.pairs, FLAGS.out, FLAGS.folds)
    except ValueError as error:
        raise UsageError(str(error)) from None
    for name, value in [*scores["f_scores"].items(), ("mean", scores["mean_f_score"])]:
        print(f"{name:12} {value:.3f}")
    return 0


def main():
    _define_flags()
    command_line_tools.run(run_command, "trainers.datasets.cross_validation")


if __name__ == "__main__":
    main()
