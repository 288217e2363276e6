"""Align images with parsing labels: NAME.jpg and NAME_label.png to canonical pairs NAME.png and NAME_label.png.

    python -m trainers.datasets.parsing_folders --photos helen --style helen --out pairs/helen --margin 16
    python -m trainers.datasets.parsing_folders --photos fasseg --style fasseg --mesh mesh.tflite --out pairs/fasseg

Style helen: labels are 0 background, 1 skin, 2 left brow, 3 right brow, 4 left eye, 5 right eye, 6 nose, 7 upper lip,
8 inner mouth, 9 lower lip, 10 hair, 255 unknown; left means left in the image. Style fasseg: 0 background, 1 skin,
2 nose, 3 eyes, 4 mouth, 5 hair and brows; the points of a face mesh separate these as far as possible, the rest becomes
unknown. report.tsv in OUT has the outcome of each image. Run the same command to resume after an interruption.
"""

import os

from absl import flags
from tqdm import tqdm

from deblur_zoo.faces.acceptance import Rules
from deblur_zoo.faces.alignment import CROP_SIZE
from deblur_zoo.faces.journal import USED
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.files.resumable_folder import REPORT
from trainers.datasets.labelled_pairs import STYLES, align_pairs
from trainers.datasets.mesh import FaceMesh


def _define_flags():
    rules = Rules()
    flags.DEFINE_string("photos", None, "folder of images with labels beside them, searched recursively")
    flags.DEFINE_string("out", None, "folder for the pairs and report.tsv")
    flags.DEFINE_enum("style", "helen", list(STYLES), "classes of the labels")
    flags.DEFINE_string("mesh", None, "TFLite file of a 468-point face mesh; needed by fasseg")
    flags.DEFINE_integer("size", CROP_SIZE, "side of the canonical crop in pixels", 16, 2048)
    flags.DEFINE_integer("margin", 0, "margin on every side for augmentation, in pixels", 0, 1024)
    flags.DEFINE_float("maximum_residual", rules.maximum_residual, "as in python -m deblur_zoo.faces", 0)
    flags.DEFINE_float("maximum_enlargement", rules.maximum_enlargement, "maximum factor of enlarging a face", 0)


def run_command(arguments):
    """Check the flags, then align. Returns the exit code."""
    command_line_tools.require_flags(arguments, "photos", "out")
    values = flags.FLAGS
    if values.style == "fasseg" and not values.mesh:
        raise UsageError("--style fasseg needs --mesh, to tell brows from hair and face from neck")
    # The detector's code is TensorFlow's; what is written here is for every backend.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    rules = Rules(
        minimum_confidence=0, maximum_residual=values.maximum_residual, maximum_enlargement=values.maximum_enlargement
    )
    try:
        mesh = FaceMesh(values.mesh) if values.mesh else None
        rows = align_pairs(
            values.photos, values.out, values.style, values.size, values.margin, mesh, rules,
            progress=lambda pairs: tqdm(pairs, unit="picture", disable=None),
        )  # fmt: skip
    except (ValueError, ModuleNotFoundError) as error:
        raise UsageError(str(error)) from None
    used = [row for row in rows if row.status == USED]
    by_labels = sum(not row.confidence for row in used)
    print(f"{len(rows)} images, {len(used)} pairs in {values.out}, {by_labels} of them with points from the labels")
    left_out = [(row.photo, row.reason) for row in rows if row.status != USED]
    for line in command_line_tools.first_of(left_out, f", all in {REPORT}"):
        print(line)
    return 0 if used else 1


def main():
    _define_flags()
    command_line_tools.run(run_command, "trainers.datasets.parsing_folders")


if __name__ == "__main__":
    main()
