"""Crop the faces of a folder of photos, in the canonical alignment.

    python -m deblur_zoo.faces --photos photos --out crops --margin 16

If a photo has several faces, the largest near the middle is cropped, or all of them with --all_faces. Crops keep the
photo's sub-folder and name. report.tsv in the crops' folder has the outcome of each photo. Run the same command to
resume after an interruption.
"""

import os

from absl import flags
from tqdm import tqdm

from deblur_zoo.faces.acceptance import Rules
from deblur_zoo.faces.folder import Settings, align_folder
from deblur_zoo.files import command_line_tools, pictures
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.files.resumable_folder import REPORT

FLAGS = flags.FLAGS
_RULES = Rules()
flags.DEFINE_string("photos", None, "folder of photos, searched recursively")
flags.DEFINE_string("out", None, "folder for the crops and report.tsv")
flags.DEFINE_integer("size", 128, "side of the canonical crop in pixels", lower_bound=16, upper_bound=2048)
flags.DEFINE_integer("margin", 0, "context added on every side for augmentation, in pixels", 0, 1024)
flags.DEFINE_enum("format", "webp", ["webp", "png"], "file format of the crops")
flags.DEFINE_integer("quality", 100, "WebP quality; 100 is lossless", lower_bound=1, upper_bound=100)
flags.DEFINE_bool("all_faces", False, "crop every face of a photo; the names end in -face1, -face2, ...")
flags.DEFINE_list(
    "longest_sides", None, "photos are downscaled to this side for detection; further numbers are tried if no face is "
    "found (default: 320,1024; with --all_faces 1280)"
)  # fmt: skip
flags.DEFINE_integer("max_pixels", pictures.MAXIMUM_PIXELS, "larger photos are skipped; memory grows with the size", 1)
flags.DEFINE_float("minimum_confidence", _RULES.minimum_confidence, "minimum confidence of the detector", 0, 1)
flags.DEFINE_float(
    "maximum_residual",
    _RULES.maximum_residual,
    "maximum distance of the points from their canonical places, as a share of the size",
    0,
)
flags.DEFINE_float("maximum_enlargement", _RULES.maximum_enlargement, "maximum factor of enlarging a face", 0)
flags.DEFINE_float("minimum_inside", _RULES.minimum_inside, "minimum share of the crop inside the photo", 0, 1)


def align_photos(arguments):
    """Check the flags, then align. Returns the exit code."""
    command_line_tools.require_flags(arguments, "photos", "out")
    # The detector needs TensorFlow; the crops are for every backend.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    settings = Settings(
        size=FLAGS.size,
        margin=FLAGS.margin,
        format=FLAGS.format,
        quality=FLAGS.quality,
        all_faces=FLAGS.all_faces,
        longest_sides=_longest_sides(),
        rules=Rules(FLAGS.minimum_confidence, FLAGS.maximum_residual, FLAGS.maximum_enlargement, FLAGS.minimum_inside),
    )
    try:
        summary = align_folder(
            FLAGS.photos,
            FLAGS.out,
            settings,
            progress=lambda **numbers: tqdm(unit="photo", disable=None, **numbers),
            maximum_pixels=FLAGS.max_pixels,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    earlier = f" ({summary.taken_over} done by an earlier run)" if summary.taken_over else ""
    print(f"{summary.photos} photos{earlier}, {summary.crops} crops in {FLAGS.out}, report in {FLAGS.out}/{REPORT}")
    if summary.left_out:
        print(f"Not used: {len(summary.left_out)}")
        for kind, number in summary.kinds().most_common():
            print(f"  {number:6d}  {kind}")
        print(*command_line_tools.first_of(summary.left_out, f", all in {REPORT}"), sep="\n")
    return 0 if summary.crops else 1


def _longest_sides():
    texts = FLAGS.longest_sides or (["1280"] if FLAGS.all_faces else ["320", "1024"])
    if not all(text.isdecimal() and 64 <= int(text) <= 8192 for text in texts):
        raise UsageError(f"--longest_sides must be whole numbers from 64 to 8192, got {','.join(texts)}")
    return tuple(sorted(map(int, texts)))


def main():
    command_line_tools.run(align_photos, "deblur_zoo.faces")


if __name__ == "__main__":
    main()
