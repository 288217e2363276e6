"""Measure a preset on a folder of aligned faces.

    python -m deblur_zoo.evaluation --preset one_step_lite --faces crops/celeba_dev --out results

Faces are canonical crops, as written by `python -m deblur_zoo.faces`: 128x128, or larger with an equal margin on every
side (160x160 for a margin of 16), in which case the middle 128x128 is used. Prints a table of PSNR, SSIM and the share
of images made worse by blur kernel size, or with --protocol camera by kind of blur, and colour shift and identity; with
--out also writes metrics.json and table.md. See docs/evaluation.md.
"""

import os
import pathlib

import numpy as np
from absl import flags

from deblur_zoo.evaluation import table
from deblur_zoo.evaluation.camera_protocol import CameraProtocol
from deblur_zoo.evaluation.contact_sheet import contact_sheet
from deblur_zoo.evaluation.preset_measurement import PresetMeasurement
from deblur_zoo.evaluation.protocol import KernelSizes
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError

FLAGS = flags.FLAGS
flags.DEFINE_string("preset", None, "name of a preset, or a folder with config.json and weights")
flags.DEFINE_string("faces", None, "folder of aligned sharp crops")
flags.DEFINE_integer("limit", None, "measure only on the first so many faces, sorted by name", lower_bound=1)
flags.DEFINE_string("out", None, "folder for metrics.json and table.md")
flags.DEFINE_enum(
    "protocol",
    "kernel_sizes",
    ["kernel_sizes", "camera"],
    "the papers' kernels, or camera-like blur",
)
flags.DEFINE_list("pairs", [], "for --protocol camera: shards of video pairs, for a row of real motion")
flags.DEFINE_list("kinds", [], "for --protocol camera: rows of the table; default: all")
flags.DEFINE_integer("passes", 1, "how many times each face goes through the model", lower_bound=1)
flags.DEFINE_integer(
    "kernels_per_size",
    1,
    "kernels of each size per face; 10 uses the whole bank",
    lower_bound=1,
    upper_bound=10,
)
flags.DEFINE_float("sigma", 0.01, "standard deviation of the noise, on the [0, 1] scale", lower_bound=0, upper_bound=1)
flags.DEFINE_string("identity_network", None, "Keras file of a face recognition network, for the identity cosine")
flags.DEFINE_integer("batch_size", 16, "faces per forward pass", lower_bound=1)
flags.DEFINE_string("sheet", None, "also write a contact sheet, a .png file: blurred above restored above sharp")
flags.DEFINE_integer("sheet_faces", 24, "faces on the contact sheet", lower_bound=1)


def measure(arguments):
    """Check the flags, measure, print and write. Returns the exit code."""
    _check_flags(arguments)
    try:
        task = PresetMeasurement(
            FLAGS.preset,
            FLAGS.faces,
            FLAGS.limit,
            _protocol(),
            FLAGS.identity_network,
            FLAGS.batch_size,
            FLAGS.passes,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    metrics = task.run(progress=True)
    print(table.markdown(metrics))
    if FLAGS.out:
        print("wrote " + " and ".join(map(str, table.write(metrics, FLAGS.out))))
    if FLAGS.sheet:
        _write_sheet(task.restored, task.faces, task.protocol, task.measurement)
        print(f"wrote {FLAGS.sheet}")
    return 0


def _protocol():
    if FLAGS.protocol == "camera":
        return CameraProtocol.of_shards(FLAGS.pairs, FLAGS.kinds)
    return KernelSizes(kernels_per_size=FLAGS.kernels_per_size, sigma=FLAGS.sigma)


def _check_flags(arguments):
    command_line_tools.require_flags(arguments, "preset", "faces")
    if not os.path.isdir(FLAGS.faces):
        raise UsageError(f"--faces must be a folder, got {FLAGS.faces}")
    for name in ("pairs", "kinds"):
        if FLAGS[name].value and FLAGS.protocol != "camera":
            raise UsageError(f"--{name} needs --protocol camera")
    if FLAGS.out and os.path.exists(FLAGS.out) and not os.path.isdir(FLAGS.out):
        raise UsageError(f"--out must be a folder, but {FLAGS.out} is a file")
    if FLAGS.sheet and not FLAGS.sheet.lower().endswith(".png"):
        raise UsageError(f"--sheet must end in .png, got {FLAGS.sheet}")
    for path in filter(None, (FLAGS.out, FLAGS.sheet)):
        # Report this now, not after the measurement.
        parent = next(
            folder
            for folder in (pathlib.Path(path).absolute(), *pathlib.Path(path).absolute().parents)
            if folder.is_dir()
        )
        if not os.access(parent, os.W_OK):
            raise UsageError(f"cannot write to {parent}")


def _write_sheet(model, faces, protocol, measurement):
    from deblur_zoo.evaluation.measurement import restore

    # Alternate between groups, with pairs spread over each.
    pairs, captions = [], []
    for turn in range(min(FLAGS.sheet_faces, len(measurement.groups))):
        group = protocol.groups[turn % len(protocol.groups)]
        of_group = np.flatnonzero(measurement.groups == group)
        index = int((turn + 0.5) / FLAGS.sheet_faces * len(of_group))
        pairs.append(protocol.pair(faces, group, index))
        before, after = (measurement.rows[name].psnr[of_group[index]] for name in ("blurred", "restored"))
        name = f"{group} px" if group.isdigit() else group.replace("_", " ")
        captions.append(f"{name}  {before:.1f} > {after:.1f} dB")
    sharp, blurred = map(np.stack, zip(*pairs, strict=True))
    pathlib.Path(FLAGS.sheet).absolute().parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(blurred, restore(model, blurred, FLAGS.batch_size), sharp, FLAGS.sheet, captions=captions)


def main():
    command_line_tools.run(measure, "deblur_zoo.evaluation")


if __name__ == "__main__":
    main()
