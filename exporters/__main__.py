"""Write a preset in formats for deployment.

    python -m exporters --preset one_step_lite --format saved_model --out exported

Writes exported/one_step_lite/1/ (other formats: exported/one_step_lite/FORMAT/1/), runs what was written in a fresh
process, compares it with the Keras model and prints what was measured. If a comparison fails, nothing of that format is
left behind and the exit code is 1. ``--format all`` writes every format. docs/export.md says more.
"""

import importlib
import os
import re
import sys

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError

# Each module has target(name, out, version) -> path, check_backend() and export(model, path, overwrite, information,
# **its own options) -> comparisons that passed.
FORMATS = {
    "saved_model": "exporters.saved_model",
    "tflite": "exporters.tflite_model",
    "tf_hub": "exporters.tf_hub",
    "onnx": "exporters.onnx_model",
}
TFLITE_FLAGS = ("size", "precisions", "faces")

FLAGS = flags.FLAGS
flags.DEFINE_string("preset", None, "name of a preset, or a folder with config.json and weights")
flags.DEFINE_enum("format", "saved_model", [*FORMATS, "all"], "what to write")
flags.DEFINE_string("out", None, "folder that gets PRESET/VERSION/ or PRESET/FORMAT/VERSION/")
flags.DEFINE_integer("version", 1, "version number, the name of the innermost folder", lower_bound=1)
flags.DEFINE_bool("overwrite", False, "replace the version where it is there already")
flags.DEFINE_string("size", None, "tflite: height x width that the files take, such as 256 or 160x128 (default: 128)")
flags.DEFINE_list("precisions", None, "tflite: some of float32, float16, dynamic_int8, int8 (default: all, int8 only "
                  "with --faces)")  # fmt: skip
flags.DEFINE_string("faces", None, "tflite: folder of sharp aligned faces, which are blurred to fit int8's ranges")


def export_preset(arguments):
    """Check the flags, export, print. Returns the exit code."""
    command_line_tools.require_flags(arguments, "preset", "out")
    if os.path.exists(FLAGS.out) and not os.path.isdir(FLAGS.out):
        raise UsageError(f"--out must be a folder, and {FLAGS.out} is a file")
    formats = list(FORMATS) if FLAGS.format == "all" else [FLAGS.format]
    options = {"tflite": tflite_options()} if "tflite" in formats else refuse_tflite_flags()
    from deblur_zoo import zoo
    from deblur_zoo.zoo import presets
    from exporters.information import information

    exporters = {form: importlib.import_module(FORMATS[form]) for form in formats}
    try:
        # What can be refused at once is, before TensorFlow is imported.
        config = presets.read_config(zoo.preset_folder(FLAGS.preset))
        targets = {form: exporters[form].target(config["name"], FLAGS.out, FLAGS.version) for form in formats}
        for target in targets.values():
            if target.exists() and not FLAGS.overwrite:
                raise UsageError(f"{target} is there already: choose another --version, or say --overwrite")
        model = zoo.load(FLAGS.preset)
        for exporter in exporters.values():
            exporter.check_backend()
    except (ValueError, RuntimeError) as error:
        raise UsageError(str(error)) from None
    described = information(config["name"], config, labels=getattr(model, "class_names", None))
    failed = 0
    for form in formats:
        failed += not _write(form, exporters[form], model, targets[form], described, options.get(form, {}))
    if "saved_model" in formats and not failed:
        _write_serving_files()
    return 1 if failed else 0


def _write(form, exporter, model, target, described, options):
    """Export in one format and print; whether it passed."""
    from exporters.verify import VerificationError

    try:
        compared = exporter.export(model, target, FLAGS.overwrite, described, **options)
    except (ValueError, FileNotFoundError) as error:
        raise UsageError(f"{form}: {error}") from None
    except VerificationError as error:
        print(f"deblur-zoo-export: {form}: {error}; nothing of it was written", file=sys.stderr)
        return False
    for result in compared:
        print(result)
    size = sum(os.path.getsize(os.path.join(folder, file)) for folder, _, files in os.walk(target) for file in files)
    print(f"wrote {target} ({size / 2**20:.1f} MiB), {len(compared)} comparisons passed in a fresh process", flush=True)
    return True


def _write_serving_files():
    from exporters import serving_files

    for path in serving_files.write(FLAGS.out):
        print(f"wrote {path}")


def tflite_options():
    """The flags that concern TFLite files, checked."""
    from exporters import tflite_model

    options = {"faces": FLAGS.faces}
    if FLAGS.size is not None:
        found = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", FLAGS.size)
        height, width = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not (1 <= min(height, width) and max(height, width) <= tflite_model.LARGEST_SIDE):
            raise UsageError(
                f"--size is a side such as 256, or height x width such as 160x128, up to {tflite_model.LARGEST_SIDE} "
                f"pixels, not {FLAGS.size}"
            )
        options["size"] = (height, width)
    try:
        options["precisions"] = tflite_model.choose(FLAGS.precisions, FLAGS.faces)
    except ValueError as error:
        raise UsageError(f"--precisions, --faces: {error}") from None
    if FLAGS.faces is not None and not os.path.exists(FLAGS.faces):
        raise UsageError(f"--faces: there is no {FLAGS.faces}")
    return options


def refuse_tflite_flags():
    """Raise UsageError where a flag was given that says nothing to the chosen format."""
    for name in TFLITE_FLAGS:
        if FLAGS[name].value is not None:
            raise UsageError(f"--{name} concerns TFLite files; the format is {FLAGS.format}")
    return {}


def main():
    command_line_tools.run(export_preset, "deblur-zoo-export")


if __name__ == "__main__":
    main()
