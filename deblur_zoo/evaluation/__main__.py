"""Compare presets, exported files and other methods by the papers' protocols, in one report.

    deblur-zoo-eval --preset one_step_lite,umsn_lite --faces crops/celeba_dev --out report
    deblur-zoo-eval --preset one_step_lite,THEIRS=outputs --protocol shen,camera --faces crops/celeba_dev --out report

Writes report.html, one page with tables, plots and contact sheets, and the same tables as report.md, report.json and
tables/NAME.csv. Faces are canonical crops, as written by `python -m deblur_zoo.faces`: 128x128, or larger with an equal
margin on every side. What is measured is kept in OUT/measured: run the same command again to resume, or with more
methods or protocols to measure only these. Without --out the tables are printed only. --document also writes them as
one Markdown file, such as docs/results.md. See docs/evaluation.md.
"""

import os
import shlex
import tempfile
from pathlib import Path

from absl import flags

from deblur_zoo import zoo
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError, working

FLAGS = flags.FLAGS
flags.DEFINE_list(
    "preset",
    [],
    "what to compare, separated by commas: presets (`all`: those with weights), folders with config.json and weights, "
    "exported files, classical methods, and NAME=FOLDER for another method's outputs; see --write_inputs. NAME=PATH "
    "gives a folder of weights or a file another name",
)
flags.DEFINE_string("faces", None, "folder of aligned sharp crops, flat or with a sub-folder for each person")
flags.DEFINE_string("labels", None, "folder of the faces' label maps, for tables by semantic class and of parsing")
flags.DEFINE_integer("limit", None, "measure only on the first so many faces, sorted by name", lower_bound=1)
flags.DEFINE_list(
    "protocol",
    ["kernel_sizes"],
    "protocols, separated by commas: kernel_sizes, shen, qi, umsn, one_step, chrysos, camera, pairs, sharp_in",
)
flags.DEFINE_list("pairs", [], "for chrysos and pairs: NAME=SOURCE of each row; for camera: shards, for real motion")
flags.DEFINE_list("kinds", [], "for camera: rows of the table; default: all")
flags.DEFINE_integer("passes", 1, "how many times each face goes through a model", lower_bound=1)
flags.DEFINE_bool("second_pass", False, "also measure what a second pass gains or costs by kind of blur, for camera")
flags.DEFINE_integer(
    "kernels_per_size", None, "kernels of each size per face, instead of the protocol's", lower_bound=1
)
flags.DEFINE_float(
    "sigma", None, "standard deviation of the noise, on the [0, 1] scale, instead of the protocol's", lower_bound=0,
    upper_bound=1,
)  # fmt: skip
flags.DEFINE_string("identity_network", None, "Keras file of a face recognition network, or `dlib`")
flags.DEFINE_string("gallery", None, "folder of aligned crops, a sub-folder for each person; default: the sharp faces")
flags.DEFINE_string("verification", None, "list of pairs of --faces in LFW's format, for ten-fold verification")
flags.DEFINE_bool("detection", False, "also measure how many faces are detected; takes about 0.1 s a picture")
flags.DEFINE_bool("landmarks", False, "also measure dlib's 68 landmarks")
flags.DEFINE_string("vgg_face", None, "file of VGG-Face's weights, for the feature distance")
flags.DEFINE_string("parser", "face_parser", "preset that parses restored faces, if there are --labels")
flags.DEFINE_string("groups_faces", None, "folder of more crops whose names contain people's groups, for their gains")
flags.DEFINE_string(
    "group_pattern",
    r"[a-z]+_(?P<group>[a-z]+)_\d+",
    "regular expression of such a name without its ending, with a part (?P<group>...)",
)
flags.DEFINE_bool("speed", False, "also measure times: the machine should be idle")
flags.DEFINE_string("out", None, "folder for the report")
flags.DEFINE_string("document", None, "file ending in .md to write the tables to; a .json file goes beside it")
flags.DEFINE_string("write_inputs", None, "only write the blurred and sharp pictures into this folder")
flags.DEFINE_integer("batch_size", 16, "faces per forward pass", lower_bound=1)


def evaluate(arguments):
    """Check the flags, measure, print and write. Returns the exit code."""
    _check_flags(arguments)
    try:
        with working("starting"):
            from deblur_zoo.evaluation import comparison, protocols, runs
            from deblur_zoo.evaluation.faces import Faces
    except ImportError as error:
        raise _not_installed(error) from None
    try:
        with working("reading faces"):
            faces = Faces(FLAGS.faces, FLAGS.limit, FLAGS.labels) if FLAGS.faces else None
        named = command_line_tools.table("pairs") if {"chrysos", "pairs"} & set(FLAGS.protocol) else {}
        shards = [] if named else FLAGS.pairs
        test_sets = [
            protocols.make_test_set(name, faces, FLAGS.kernels_per_size, FLAGS.sigma, named, FLAGS.kinds, shards)
            for name in dict.fromkeys(FLAGS.protocol)
        ]
        if FLAGS.write_inputs:
            for test_set in test_sets:
                folder = Path(FLAGS.write_inputs, test_set.name)
                count = runs.write_inputs(test_set, folder, FLAGS.batch_size, progress=True)
                print(f"wrote {count} pairs into {folder}")
            return 0
        with tempfile.TemporaryDirectory() as temporary:
            report = comparison.compare(
                _sources(),
                test_sets,
                Path(FLAGS.out or temporary),
                measures={name: FLAGS[name].value for name in comparison.MEASURES},
                passes=FLAGS.passes,
                batch_size=FLAGS.batch_size,
                verification=FLAGS.verification,
                groups_faces=FLAGS.groups_faces,
                group_pattern=FLAGS.group_pattern,
                second_pass=FLAGS.second_pass,
                speed=FLAGS.speed,
                contact_sheets=bool(FLAGS.out),
                document=bool(FLAGS.document),
                command=_command(),
            )
    except ImportError as error:
        raise _not_installed(error) from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(report.markdown())
    if FLAGS.out:
        print(f"wrote {report.write(FLAGS.out)}")
    if FLAGS.document:
        print(f"wrote {report.write_document(FLAGS.document)}")
    return 0


def _sources():
    if "all" not in FLAGS.preset:
        return FLAGS.preset
    position = FLAGS.preset.index("all")
    return [*FLAGS.preset[:position], *zoo.list_models(kind="deblurrer", trained=True), *FLAGS.preset[position + 1 :]]


def _command():
    """The command line, with only the last part of folders' and files' names."""
    words = ["deblur-zoo-eval"]
    for flag in FLAGS.flags_by_module_dict()[_module()]:
        if flag.value == flag.default or flag.name in ("out", "document"):
            continue
        values = flag.value if isinstance(flag.value, list) else [flag.value]
        if flag.name not in ("protocol", "kinds", "group_pattern"):
            values = [_short(str(value)) for value in values]
        words += [f"--{flag.name}", ",".join(map(str, values))] if flag.value is not True else [f"--{flag.name}"]
    return shlex.join(words)


def _module():
    return next(name for name, found in FLAGS.flags_by_module_dict().items() if FLAGS["kernels_per_size"] in found)


def _short(value):
    name, equals, path = value.rpartition("=")
    return f"{name}{equals}{Path(path).name or path}"


def _not_installed(error):
    if error.name in ("pandas", "matplotlib", "jinja2", "scipy", "skimage"):
        return UsageError(f"{error.name} is not installed: pip install 'deblur-zoo[eval]'")
    return UsageError(str(error))


def _check_flags(arguments):
    command_line_tools.require_flags(arguments, *([] if FLAGS.write_inputs else ["preset"]))
    if set(FLAGS.protocol) - {"chrysos", "pairs"}:
        command_line_tools.require_flags(arguments, "faces")
    command_line_tools.require_folders("faces", "labels", "gallery", "groups_faces")
    if FLAGS.kinds and "camera" not in FLAGS.protocol:
        raise UsageError("--kinds needs --protocol camera")
    if FLAGS.second_pass and ("camera" not in FLAGS.protocol or FLAGS.passes > 1):
        raise UsageError("--second_pass needs --protocol camera, and cannot be combined with --passes")
    if FLAGS.pairs and not {"camera", "chrysos", "pairs"} & set(FLAGS.protocol):
        raise UsageError("--pairs needs --protocol camera, chrysos or pairs")
    for name in ("gallery", "verification"):
        if FLAGS[name].value and not FLAGS.identity_network:
            raise UsageError(f"--{name} needs --identity_network")
    if FLAGS.document and (not FLAGS.document.endswith(".md") or os.path.isdir(FLAGS.document)):
        raise UsageError(f"--document must be a file ending in .md, got {FLAGS.document}")
    for name in ("out", "write_inputs"):
        path = FLAGS[name].value
        if path and os.path.exists(path) and not os.path.isdir(path):
            raise UsageError(f"--{name} must be a folder, but {path} is a file")
    # Report this now, not after the measurement.
    for path in (FLAGS.out, FLAGS.write_inputs, FLAGS.document and os.path.dirname(os.path.abspath(FLAGS.document))):
        if path:
            parents = (Path(path).absolute(), *Path(path).absolute().parents)
            parent = next(folder for folder in parents if folder.is_dir())
            if not os.access(parent, os.W_OK):
                raise UsageError(f"cannot write to {parent}")


def main():
    command_line_tools.run(evaluate, "deblur-zoo-eval")


if __name__ == "__main__":
    main()
