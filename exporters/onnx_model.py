"""ONNX file for onnxruntime and other runtimes, written by tf2onnx.

One input, ``images``: float32 (N, H, W, 3), RGB in [0, 1], any N, H, W from 1 up. One output, ``restored``: the same
shape; a parser's is ``probabilities``, (N, H, W, classes). N, H and W are dynamic (their names in the file are batch,
height and width).
"""

import dataclasses
import pathlib

from absl import flags

from deblur_zoo.files.atomic_folder import atomic_folder
from exporters.format import Format
from exporters.information import OUTPUTS
from exporters.requirements import require_packages, require_tensorflow
from exporters.verify import float_cases, verify

TOLERANCE = 1e-3
# One 8-bit level: float16 has 11 significant bits, and rounding errors add up.
FLOAT16_TOLERANCE = 1 / 255
PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
PROGRAM = pathlib.Path(__file__).with_name("run_onnx.py")


def check_backend():
    """Raises RuntimeError if Keras does not run on TensorFlow, or a package is missing."""
    require_tensorflow("an ONNX file")
    require_packages("writing ONNX", PACKAGES, "onnx")


def export(model, path, overwrite=False, information=None, float16=False):
    """Write ``<model.name>.onnx`` and verify it.

    The files are written to a temporary folder, checked by ``onnx.checker``, run by onnxruntime in a fresh process and
    compared with the model. The folder is renamed when all comparisons pass.

    Args:
        model: a built ``Deblurrer`` or parser (TensorFlow backend).
        path: the folder to create; see ``FORMAT.target``.
        overwrite: replace an existing folder.
        information: dict that JSON can hold, stored as JSON in the file's metadata_props;
            ``deblur_zoo.exported.onnx_file`` reads it.
        float16: also write ``<model.name>_float16.onnx``: weights and arithmetic in half precision, input and output
            still float32.

    Returns:
        list of ``exporters.verify.Compared``.

    Raises:
        FileExistsError: the folder exists, and ``overwrite`` is false.
        ValueError: tf2onnx cannot convert an operation of the model; the message names it.
        exporters.verify.VerificationError: the file is not valid ONNX or differs from the model; no files remain.
        RuntimeError: as ``check_backend``.
    """
    check_backend()
    # After the check, whose message names the extra.
    from exporters import onnx_conversion

    with atomic_folder(path, overwrite) as folder:
        file, half = folder / f"{model.name}.onnx", folder / f"{model.name}_float16.onnx"
        onnx_conversion.write(model, file, information)
        onnx_conversion.check_file(file)
        cases = float_cases(model, OUTPUTS[model.kind], tolerance=TOLERANCE)
        compared = verify(file, PROGRAM, cases)
        if float16:
            onnx_conversion.write_float16(file, half, information)
            onnx_conversion.check_file(half)
            halved = [
                dataclasses.replace(case, title=f"float16, {case.title}", tolerance=FLOAT16_TOLERANCE)
                for case in cases
                # Of the others not even float32 keeps the digits.
                if case.tolerance == TOLERANCE
            ]
            compared += verify(half, PROGRAM, halved)
        return compared


def define_flags():
    """``--onnx_float16``."""
    flags.DEFINE_bool("onnx_float16", False, "onnx: also write PRESET_float16.onnx, half the size")


FORMAT = Format(
    "onnx",
    export,
    check_backend,
    define_flags,
    ("onnx_float16",),
    read_options=lambda values: {"float16": values.onnx_float16},
)
