"""Export a preset for deployment.

    python -m exporters --preset one_step_lite --format saved_model --out exported

Writes exported/one_step_lite/1/ (other formats: exported/one_step_lite/FORMAT/1/), runs the files in a fresh process,
compares the results with the Keras model and prints the measurements. If a comparison fails, no files of that format
remain and the exit code is 1. ``--format all`` writes every format. See docs/export.md.
"""

import os
import re
import sys

from absl import flags

from deblur_zoo import zoo
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError, working
from deblur_zoo.zoo import presets
from exporters import onnx_model, saved_model, serving_files, tf_hub, tflite_model
from exporters.information import information
from exporters.verify import VerificationError

FORMATS = {form.name: form for form in (saved_model.FORMAT, tflite_model.FORMAT, tf_hub.FORMAT, onnx_model.FORMAT)}

FLAGS = flags.FLAGS
flags.DEFINE_string("preset", None, "name of a preset, or a folder with config.json and weights")
flags.DEFINE_enum("format", "saved_model", [*FORMATS, "all"], "export format")
flags.DEFINE_string("out", None, "folder for PRESET/VERSION/ or PRESET/FORMAT/VERSION/")
flags.DEFINE_integer("version", 1, "version number, the name of the innermost folder", lower_bound=1)
flags.DEFINE_bool("overwrite", False, "replace an existing version")
for form in FORMATS.values():
    form.define_flags()
    for name in form.flags:
        # So that --help shows it.
        flags.declare_key_flag(name)


def export_preset(arguments):
    """Check the flags, export, print. Returns the exit code."""
    command_line_tools.require_flags(arguments, "preset", "out")
    if os.path.exists(FLAGS.out) and not os.path.isdir(FLAGS.out):
        raise UsageError(f"--out must be a folder, and {FLAGS.out} is a file")
    formats = list(FORMATS.values()) if FLAGS.format == "all" else [FORMATS[FLAGS.format]]
    for form in FORMATS.values():
        if form not in formats:
            form.refuse_flags(FLAGS, FLAGS.format)
    options = {form.name: form.read_options(FLAGS) for form in formats}
    try:
        # Fail early, before TensorFlow is imported.
        config = presets.read_config(zoo.preset_folder(FLAGS.preset))
        targets = {form.name: form.target(config["name"], FLAGS.out, FLAGS.version) for form in formats}
        for target in targets.values():
            if target.exists() and not FLAGS.overwrite:
                raise UsageError(f"{target} exists: choose another --version, or pass --overwrite")
        with working(f"loading {FLAGS.preset}"):
            model = zoo.load(FLAGS.preset)
            for form in formats:
                form.check_backend()
    except (ValueError, RuntimeError) as error:
        raise UsageError(str(error)) from None
    described = information(config["name"], config, labels=getattr(model, "class_names", None))
    failed = 0
    for form in formats:
        failed += not _write(form, model, targets[form.name], described, options[form.name])
    if saved_model.FORMAT in formats and not failed:
        for path in serving_files.write(FLAGS.out):
            print(f"wrote {path}")
    return 1 if failed else 0


def _write(form, model, target, described, options):
    """Export in one format and print; whether it passed."""
    import tensorflow as tf

    try:
        with working(f"writing and checking {form.name}"):
            compared = form.export(model, target, FLAGS.overwrite, described, **options)
    except (ValueError, FileNotFoundError) as error:
        raise UsageError(f"{form.name}: {error}") from None
    except (OSError, tf.errors.OpError) as error:
        # TensorFlow raises its own errors for a full disk.
        reason = getattr(error, "strerror", None) or re.sub(r"\{\{.*?\}\} ", "", str(error))
        raise UsageError(f"{form.name}: {target} cannot be written: {reason}; no files were written") from None
    except VerificationError as error:
        print(f"deblur-zoo-export: {form.name}: {error}; no files were written", file=sys.stderr)
        return False
    for result in compared:
        print(result)
    size = sum(os.path.getsize(os.path.join(folder, file)) for folder, _, files in os.walk(target) for file in files)
    print(f"wrote {target} ({size / 2**20:.1f} MiB), {len(compared)} comparisons passed in a fresh process", flush=True)
    return True


def main():
    command_line_tools.run(export_preset, "deblur-zoo-export")


if __name__ == "__main__":
    main()
