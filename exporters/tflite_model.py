"""TFLite files for phones, one per precision, with builtin operators only and metadata about input and output.

``float32`` keeps the weights, ``float16`` halves them, ``dynamic_int8`` stores them as int8 and computes in int8 where
the interpreter can, ``int8`` computes in int8 throughout, including input and output.

Each file takes one picture of one size: ``images`` (1, H, W, 3) -> ``restored`` (1, H, W, 3), RGB, float32 in [0, 1];
the ``int8`` file takes and returns uint8 with the tensors' scale and zero point: value = scale * (byte - zero point).
These are 1/255 and 0 unless a layer that touches the picture needs another range. A parser's output is
``probabilities`` (1, H, W, classes).
"""

import os
import re

import numpy as np
from absl import flags

from deblur_zoo.files.atomic_folder import atomic_folder
from deblur_zoo.files.command_line_tools import UsageError
from exporters.calibration import blurred_faces
from exporters.format import Format
from exporters.information import information as preset_information
from exporters.requirements import require_packages, require_tensorflow
from exporters.tflite_check import check

PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")
CROP = (128, 128)
# In pixels; the interpreter's memory grows with it.
LARGEST_SIDE = 2048


def check_backend():
    """Raises RuntimeError if Keras does not run on TensorFlow, or the interpreter is not installed."""
    require_tensorflow("a TFLite file")
    require_packages("verifying a TFLite file", ("ai_edge_litert",), "tflite")


def export(model, path, overwrite=False, information=None, size=CROP, precisions=None, faces=None):
    """Write a model in each precision, run the files, and compare them with the model.

    Args:
        model: a built ``Deblurrer`` or parser (TensorFlow backend).
        path: the folder to create; see ``FORMAT.target``. It gets NAME_HxW_PRECISION.tflite files and report.tsv.
        overwrite: replace an existing folder.
        information: from ``exporters.information``; stored in each file.
        size: (height, width) in pixels.
        precisions: some of ``PRECISIONS``; None: all, ``int8`` only with ``faces``.
        faces: folder of sharp aligned faces; blurred, they calibrate ``int8`` and test every precision.

    Returns:
        list of ``exporters.tflite_check.Checked``, one per precision.

    Raises:
        FileExistsError: the folder exists, and ``overwrite`` is false.
        ValueError: an operator that is not builtin, no faces for ``int8``, or an invalid size or precision.
        exporters.verify.VerificationError: a file differs too much; no files remain.
        RuntimeError: as ``check_backend``.
    """
    check_backend()
    # After the check, whose message names the extra.
    from exporters import tflite_conversion as conversion

    precisions = choose(precisions, faces)
    height, width = size
    if not all(isinstance(side, int) and 1 <= side <= LARGEST_SIDE for side in size):
        raise ValueError(f"the size must be from 1x1 to {LARGEST_SIDE}x{LARGEST_SIDE} pixels, got {height}x{width}")
    calibration, pictures = None, example_pictures(size)
    if faces is not None:
        blurred = blurred_faces(faces, height, width)
        calibration, pictures = blurred.calibration, blurred.checked
    information = information or preset_information(model.name)
    with atomic_folder(path, overwrite) as folder, conversion.saved_for_one_size(model, height, width) as saved:
        files = {}
        for precision in precisions:
            content = conversion.convert(saved, precision, calibration)
            files[precision] = folder / f"{model.name}_{height}x{width}_{precision}.tflite"
            files[precision].write_bytes(content)
            conversion.embed(files[precision], conversion.describe(information, precision, content))
        results = check(model, files, pictures)
        report = "\n".join([results[0].heading(), *(result.row() for result in results)]) + "\n"
        (folder / "report.tsv").write_text(report, encoding="utf-8")
    return results


def choose(precisions, faces):
    """The precisions to write.

    Raises:
        ValueError: an unknown one, or ``int8`` without faces.
    """
    if precisions is None:
        return PRECISIONS if faces is not None else PRECISIONS[:-1]
    unknown = [precision for precision in precisions if precision not in PRECISIONS]
    if unknown or not precisions:
        raise ValueError(f"{(unknown or ['(none)'])[0]} is not a precision; accepted: {', '.join(PRECISIONS)}")
    if "int8" in precisions and faces is None:
        raise ValueError("int8 is calibrated on real faces: pass a folder of sharp aligned faces")
    return tuple(precision for precision in PRECISIONS if precision in precisions)


def example_pictures(size, count=4, seed=0):
    """Smooth gradients and edges, for a comparison without faces; float32 (count, H, W, 3) in [0, 1], of 8 bits."""
    height, width = size
    generator = np.random.default_rng(seed)
    rows, columns = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
    pictures = []
    for _ in range(count):
        frequencies = generator.uniform(2, 12, (2, 3))
        shades = 0.5 + 0.35 * np.sin(frequencies[0] * rows + frequencies[1] * columns)
        disc = (rows - 0.5) ** 2 + (columns - 0.5) ** 2 < generator.uniform(0.02, 0.2)
        pictures.append(np.where(disc, 1 - shades, shades))
    return (np.rint(255 * np.stack(pictures)) / 255).astype(np.float32)


def define_flags():
    """``--size``, ``--precisions`` and ``--faces``."""
    flags.DEFINE_string(
        "size", None, "tflite: height x width of the files' input, such as 256 or 160x128 (default: 128)"
    )
    flags.DEFINE_list(
        "precisions", None, f"tflite: some of {', '.join(PRECISIONS)} (default: all, int8 only with --faces)"
    )
    flags.DEFINE_string("faces", None, "tflite: folder of sharp aligned faces, blurred to calibrate int8")


def read_options(values):
    """Options of ``export`` from the flags; raises UsageError for invalid ones."""
    options = {"faces": values.faces}
    if values.size is not None:
        found = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", values.size)
        height, width = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not (1 <= min(height, width) and max(height, width) <= LARGEST_SIDE):
            raise UsageError(
                f"--size must be a side such as 256, or height x width such as 160x128, up to {LARGEST_SIDE} pixels, "
                f"got {values.size}"
            )
        options["size"] = (height, width)
    try:
        options["precisions"] = choose(values.precisions, values.faces)
    except ValueError as error:
        raise UsageError(f"--precisions, --faces: {error}") from None
    if values.faces is not None and not os.path.exists(values.faces):
        raise UsageError(f"--faces: {values.faces} does not exist")
    return options


FORMAT = Format("tflite", export, check_backend, define_flags, ("size", "precisions", "faces"), read_options)
