"""Measure a parser on labelled faces that it was not trained on, by K-fold cross-validation over a folder of pairs.

    python -m trainers.datasets.cross_validation --preset face_parser --pairs pairs/helen --folds 5 --repeat 40 \
        --faces crops/a,pairs/synthetic --labels labels/a, --out folds

For each fold, `python -m trainers` trains a parser on --faces and --repeat times the pairs outside the fold. Its last
weights, since the fold must not influence the choice, label the fold's faces. Pixels are counted over all folds.
scores.json in OUT has F-scores by component (Shen et al. 2020, table 3); `python -m trainers.publishing.publish
--cross_validation OUT/scores.json` puts them on the card. Run the same command to resume after an interruption.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from absl import flags

from deblur_zoo import zoo
from deblur_zoo.data.face_store import load_faces
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.metrics.parsing import component_scores, group_scores
from trainers.datasets.parsing_folders import list_pairs

FLAGS = flags.FLAGS
SCORES = "scores.json"


def divide(pairs, folds):
    """The folds: pairs in the order of their images' sha256, assigned in turn.

    Args:
        pairs: list of (image, labels) paths.
        folds: number of folds, at least 2.

    Returns:
        list of lists of pairs, whose sizes differ by at most one.

    Raises:
        ValueError: fewer pairs than folds.
    """
    if len(pairs) < folds:
        raise ValueError(f"{len(pairs)} labelled faces cannot be divided into {folds} folds")
    order = sorted(pairs, key=lambda pair: hashlib.sha256(Path(pair[0]).read_bytes()).hexdigest())
    return [order[fold::folds] for fold in range(folds)]


def copy_pairs(pairs, folder):
    """Make a folder contain exactly these pairs."""
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for paths in pairs:
        for path in paths:
            shutil.copyfile(path, folder / path.name)


def training_command(flags, training, out):
    """The command line that trains one fold.

    Args:
        flags: dict of this command's flags.
        training: folder of the pairs outside the fold.
        out: the run's folder.
    """
    faces = flags["faces"] + [str(training)] * flags["repeat"]
    labels = flags["labels"] or [""] * len(flags["faces"])
    if len(labels) != len(flags["faces"]):
        raise ValueError(f"{len(flags['faces'])} sources in --faces need as many --labels, got {len(labels)}")
    command = [sys.executable, "-m", "trainers", "--preset", flags["preset"], "--out", str(out)]
    command += ["--faces", ",".join(faces), "--labels", ",".join([*labels, *[""] * flags["repeat"]])]
    for name in ("recipe", "init_from"):
        if flags[name]:
            command += [f"--{name}", str(flags[name])]
    return command


def cross_validate(flags):
    """Train and measure every fold.

    Args:
        flags: dict of this command's flags.

    Returns:
        the contents of scores.json.

    Raises:
        FileNotFoundError, ValueError: unusable pairs, or a training run that failed.
    """
    pairs = list_pairs(flags["pairs"])[0]
    out, counts = Path(flags["out"]), 0
    for number, held_out in enumerate(divide(pairs, flags["folds"]), 1):
        folder = out / f"fold_{number}"
        run = folder / "run"
        if not (run / "last.weights.h5").is_file():
            copy_pairs([pair for pair in pairs if pair not in held_out], folder / "training")
            print(f"fold {number} of {flags['folds']}", flush=True)
            if subprocess.run(training_command(flags, folder / "training", run), check=False).returncode:
                raise ValueError(f"the training of fold {number} failed; see above")
        copy_pairs(held_out, folder / "held_out")
        counts = counts + fold_confusion(flags["preset"], run / "last.weights.h5", folder / "held_out")
    scores = component_scores(counts)
    content = {
        "format_version": 1,
        "folds": flags["folds"],
        "faces": len(pairs),
        "mean_f_score": scores.pop("average"),
        "f_scores": scores,
        "groups": group_scores(counts),
    }
    with atomic_path(out / SCORES) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return content


def fold_confusion(preset, weights, folder):
    """Counts of true and predicted classes on a folder of pairs, for the preset with these weights."""
    from trainers.validation.parsing_validation import ParsingDevelopmentSet

    model = zoo.load(preset, weights=False)
    zoo.load_initial_weights(model, weights)
    store = load_faces([folder], 128)
    return ParsingDevelopmentSet(store.faces, store.labels).confusion(model)


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
    try:
        scores = cross_validate(FLAGS.flag_values_dict())
    except ValueError as error:
        raise UsageError(str(error)) from None
    for name, value in [*scores["f_scores"].items(), ("mean", scores["mean_f_score"])]:
        print(f"{name:12} {value:.3f}")
    return 0


def main():
    _define_flags()
    command_line_tools.run(run_command, "deblur-zoo-cross-validation")


if __name__ == "__main__":
    main()
