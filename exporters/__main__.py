"""Write a preset in a format for deployment.

    python -m exporters --preset one_step --format saved_model --out exported

Writes exported/one_step/1/, runs what was written in a fresh process, compares it with the Keras model and prints what
was measured. If a comparison fails, nothing is left behind and the exit code is 1. docs/export.md says more.
"""

import importlib
import os
import sys

from absl import flags

from deblur_zoo import command_line_tools
from deblur_zoo.command_line_tools import UsageError

# Each module has target(name, out, version) -> path, check_backend() and export(model, path, overwrite) -> comparisons.
FORMATS = {"saved_model": "exporters.saved_model"}

FLAGS = flags.FLAGS
flags.DEFINE_string("preset", None, "name of a preset, or a folder with config.json and weights")
flags.DEFINE_enum("format", "saved_model", list(FORMATS), "what to write")
flags.DEFINE_string("out", None, "folder that gets PRESET/VERSION/")
flags.DEFINE_integer("version", 1, "version number, the name of the innermost folder", lower_bound=1)
flags.DEFINE_bool("overwrite", False, "replace the version where it is there already")


def export_preset(arguments):
    """Check the flags, export, print. Returns the exit code."""
    command_line_tools.require_flags(arguments, "preset", "out")
    if os.path.exists(FLAGS.out) and not os.path.isdir(FLAGS.out):
        raise UsageError(f"--out must be a folder, and {FLAGS.out} is a file")
    from deblur_zoo import presets, zoo
    from exporters.verify import VerificationError

    exporter = importlib.import_module(FORMATS[FLAGS.format])
    try:
        # What can be refused at once is, before TensorFlow is imported.
        name = presets.read_config(zoo.preset_folder(FLAGS.preset))["name"]
        target = exporter.target(name, FLAGS.out, FLAGS.version)
        if target.exists() and not FLAGS.overwrite:
            raise UsageError(f"{target} is there already: choose another --version, or say --overwrite")
        model = zoo.load(FLAGS.preset, kind="deblurrer")
        exporter.check_backend()
    except (ValueError, RuntimeError) as error:
        raise UsageError(str(error)) from None
    try:
        compared = exporter.export(model, target, FLAGS.overwrite)
    except VerificationError as error:
        print(f"deblur-zoo-export: {error}; nothing was written", file=sys.stderr)
        return 1
    for result in compared:
        print(result)
    size = sum(os.path.getsize(os.path.join(folder, file)) for folder, _, files in os.walk(target) for file in files)
    print(f"wrote {target} ({size / 2**20:.1f} MiB), {len(compared)} comparisons passed in a fresh process")
    return 0


def main():
    command_line_tools.run(export_preset, "deblur-zoo-export")


if __name__ == "__main__":
    main()
