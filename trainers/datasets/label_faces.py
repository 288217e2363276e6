"""Label folders of faces to train a parser ("pseudo ground truth", Shen et al. 2020, section 4.1).

    python -m trainers.datasets.label_faces --faces crops/a,crops/b --mesh face_mesh.tflite --out labels
    python -m trainers.datasets.label_faces --faces crops/a --parser face_parser --mesh face_mesh.tflite --out labels

Writes OUT/FOLDER/NAME.png for FOLDER/NAME.webp: grey, values 0 background, 1 skin, 2 left brow, 3 right brow, 4 left
eye, 5 right eye, 6 nose, 7 upper lip, 8 inner mouth, 9 lower lip, 10 hair, 255 unknown.

A parser, a face mesh or both decide; docs/parsing.md gives the rule for each pixel. report.tsv in OUT has the
origin of each face's labels. Run the same command to resume after an interruption.
"""

from pathlib import Path

from absl import flags
from tqdm import tqdm

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.files.resumable_folder import REPORT
from trainers.datasets.labelling import NONE, label_folders, list_faces, load_parser
from trainers.datasets.mesh import FaceMesh


def _define_flags():
    flags.DEFINE_list("faces", None, "folders of canonical crops, separated by commas, searched recursively")
    flags.DEFINE_string("parser", None, "preset of kind parser: name, folder or URI; default: use only the mesh")
    flags.DEFINE_string("mesh", None, "TFLite file of a 468-point face mesh; default: use only the parser")
    flags.DEFINE_string("out", None, "folder for report.tsv and the labels, with a sub-folder for each of --faces")
    flags.DEFINE_float("threshold", 0.7, "minimum probability for using the parser's class", 0, 1)
    flags.DEFINE_integer("size", 128, "side of the canonical crop, without its margin, in pixels", 16, 2048)
    flags.DEFINE_integer("batch_size", 16, "faces per forward pass of the parser", 1)


def run_command(arguments):
    """Check the flags, then label. Returns the exit code."""
    command_line_tools.require_flags(arguments, "faces", "out")
    values = flags.FLAGS
    if not values.parser and not values.mesh:
        raise UsageError("--parser, --mesh or both must be given")
    try:
        list_faces(values.faces)
    except ValueError as error:
        raise UsageError(str(error)) from None
    settings = {"threshold": values.threshold, "size": values.size, "parser": None, "mesh": None}
    try:
        mesh = parser = None
        if values.mesh:
            mesh = FaceMesh(values.mesh)
            settings["mesh"] = sha256_of(values.mesh)
        if values.parser:
            parser, settings["parser"] = load_parser(values.parser)
        with tqdm(unit="face", disable=None) as bar:
            rows = label_folders(
                values.faces, values.out, parser, mesh, settings, values.threshold, values.size, values.batch_size, bar
            )
    except (ValueError, ModuleNotFoundError) as error:
        raise UsageError(str(error)) from None
    origins = [origin for origin, _ in rows.values()]
    for origin in sorted(set(origins)):
        print(f"{origins.count(origin):6d}  {'without labels' if origin == NONE else 'labels from ' + origin}")
    kinds = [reason.split(":")[0] for _, reason in rows.values() if reason]
    for kind in sorted(set(kinds)):
        print(f"{kinds.count(kind):6d}  {kind} (see {Path(values.out) / REPORT})")
    return 0 if set(origins) - {NONE} else 1


def main():
    _define_flags()
    command_line_tools.run(run_command, "trainers.datasets.label_faces")


if __name__ == "__main__":
    main()
