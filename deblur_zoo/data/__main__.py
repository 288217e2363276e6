"""Pack faces into one file or into TFRecord shards, which are faster to read than folders of images.

    python -m deblur_zoo.data --faces crops/a,crops/b --out faces.npz
    python -m deblur_zoo.data --faces crops/a --labels labels/a --out faces.npy
    python -m deblur_zoo.data --faces faces.npz --out shards --format tfrecord --shards 16

--faces accepts the same sources as training: folders of images, packs, shards. Label maps beside the images
(NAME_label.png) are included. The output is written atomically.
"""

import logging

from absl import flags
from tqdm import tqdm

from deblur_zoo.data.face_store import load_faces
from deblur_zoo.data.packing import pack_faces
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError

FLAGS = flags.FLAGS
flags.DEFINE_list("faces", None, "folders, packs and shards to read, separated by commas")
flags.DEFINE_list("labels", None, "folders of label maps (NAME.png), one for each of --faces, empty for none")
flags.DEFINE_string("out", None, "output: a .npz or .npy file, or a new folder for shards")
flags.DEFINE_enum(
    "format", None, ["encoded", "raw", "tfrecord"],
    "encoded images in .npz, raw pixels in .npz or .npy (memory-mapped), or tfrecord shards; default: by --out, "
    "encoded for .npz, raw for .npy, else tfrecord",
)  # fmt: skip
flags.DEFINE_integer(
    "quality", None, "re-encode every face as WebP of this quality; default: keep the original bytes", 1, 100
)
flags.DEFINE_integer("shards", 8, "number of TFRecord files", lower_bound=1)
flags.DEFINE_integer("minimum_size", 128, "minimum side of a face in pixels", lower_bound=1)


def main(arguments):
    command_line_tools.require_flags(arguments, "faces", "out")
    # Skipped files are listed at the end.
    logging.getLogger("deblur_zoo.data").setLevel(logging.ERROR)
    try:
        with tqdm(unit="face", desc="read", delay=0.3, disable=None) as bar:
            packed = pack_faces(
                FLAGS.faces, FLAGS.out, FLAGS.format, FLAGS.labels, FLAGS.quality, FLAGS.shards, FLAGS.minimum_size,
                bar.update,
            )  # fmt: skip
        fingerprint = load_faces([FLAGS.out], minimum_size=1).fingerprint
    except ValueError as error:
        raise UsageError(str(error)) from None
    height, width = packed.size
    labels = f", {packed.labelled} with labels" if packed.labelled else ""
    print(f"{packed.count} faces of {width}x{height} pixels{labels}, {packed.bytes / 1e6:.1f} MB in {FLAGS.out}")
    print(f"fingerprint: {fingerprint}")
    if packed.skipped:
        print(f"Skipped: {len(packed.skipped)}")
        print(*command_line_tools.first_of(packed.skipped), sep="\n")


if __name__ == "__main__":
    command_line_tools.run(main, "deblur_zoo.data")
