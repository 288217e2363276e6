"""Train a preset on aligned faces.

    python -m trainers --preset one_step_lite --faces crops/train --development crops/development --out runs/lite

Faces are crops of 128x128 or more, as `python -m deblur_zoo.faces --margin 16` writes them. All other settings come
from the preset's recipe. Run the same command to resume an interrupted run. The run's folder gets the resolved recipe,
the log, the checkpoint, the best weights (a moving average), which deblur_zoo.load("runs/lite") loads, and strip.png
with a few development faces blurred, restored and sharp. trainers.train is the same in Python. See docs/training.md.
"""

import inspect

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError
from trainers.distribution.base import WorkerLost
from trainers.runs.errors import CannotStart, RunStopped
from trainers.training import train

FLAGS = flags.FLAGS
flags.DEFINE_string("preset", None, "name of a preset, or a folder with config.json and recipe.json")
flags.DEFINE_list("faces", [], "folders of aligned crops to train on, separated by commas")
flags.DEFINE_list("labels", [], "folders of parsing labels, one for each of --faces, for losses that need them")
flags.DEFINE_list(
    "pairs", [], "folders of blurred and sharp pairs of videos, as trainers.datasets.video_pairs makes them"
)
flags.DEFINE_float(
    "pairs_share", None, "share of each batch that comes from --pairs, such as 0.5; default: the recipe's", 0, 1
)
flags.DEFINE_string("development", None, "folder of aligned crops of other people, to choose the best weights on")
flags.DEFINE_string("out", None, "the run's folder; an existing run is resumed")
flags.DEFINE_string("identity_network", None, "Keras file of a face recognition network, for the facial loss")
flags.DEFINE_list("networks", [], "files of the recipe's other feature networks, as name=file, separated by commas")
flags.DEFINE_string("recipe", None, "recipe file to use instead of the preset's")
flags.DEFINE_string("init_from", None, "start from these weights, with a warm-up: a preset, folder or .weights.h5 file")
flags.DEFINE_list("init_parts", [], "start parts of the model from other presets' parts, as part=preset")
flags.DEFINE_integer("seed", None, "seed to use instead of the recipe's")
flags.DEFINE_integer("batch_size", None, "batch size to use instead of the recipe's", lower_bound=1)
flags.DEFINE_enum(
    "precision", None, ["float32", "mixed_bfloat16", "mixed_float16"], "precision to use instead of the recipe's"
)
flags.DEFINE_list(
    "steps", [], "steps to use instead of the recipe's: stage=steps, separated by commas, or one number for the run"
)
flags.DEFINE_string("development_labels", None, "folder of the development faces' labels, to measure a parser")
flags.DEFINE_integer("development_faces", 120, "number of development faces to measure on", lower_bound=1)
flags.DEFINE_enum(
    "distribution", "none", ["none", "mirrored", "multi_worker", "data_parallel"],
    "several GPUs of this machine (mirrored; data_parallel under JAX) or machines by TF_CONFIG (multi_worker)",
)  # fmt: skip
flags.DEFINE_enum(
    "render_on", "auto", ["auto", "host", "device"],
    "blur training pairs on the CPU or on the model's device; auto: on the device if it is an accelerator",
)  # fmt: skip
flags.DEFINE_integer("replicas", None, "number of devices; default: all GPUs", lower_bound=1)
flags.DEFINE_bool("tensorboard", False, "also write losses, rates, measurements and pictures for TensorBoard")
flags.DEFINE_integer(
    "verbose", None, "0 silent, 1 a progress bar, 2 a line per epoch; default: 1 on a terminal, 2 elsewhere",
    lower_bound=0, upper_bound=2,
)  # fmt: skip


def command(arguments):
    """Check the flags, then train. Returns the exit code."""
    command_line_tools.require_flags(arguments, "preset", "out")
    if not FLAGS.faces:
        raise UsageError("--faces is missing: name the folders of aligned crops to train on")
    options = {name: FLAGS[name].value for name in inspect.signature(train).parameters}
    options |= {name: command_line_tools.table(name) for name in ("networks", "init_parts")}
    options["steps"] = _steps()
    try:
        train(**options)
    except (CannotStart, RunStopped, WorkerLost) as error:
        raise UsageError(str(error)) from None
    return 0


def _steps():
    """The flag --steps: None, an int, or a dict from stages to ints."""
    given = FLAGS.steps
    if len(given) == 1 and given[0].isdigit():
        return int(given[0])
    steps = command_line_tools.table("steps")
    for stage, number in steps.items():
        if not number.isdigit():
            raise UsageError(f"--steps {stage}={number} is not stage=steps, with a whole number of steps")
    return {stage: int(number) for stage, number in steps.items()} or None


def main():
    command_line_tools.run(command, "deblur-zoo-train")


if __name__ == "__main__":
    main()
