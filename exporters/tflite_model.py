"""TFLite files for phones, one per precision, with builtin operators only and metadata about input and output.

``float32`` keeps the weights, ``float16`` halves them, ``dynamic_int8`` stores them as int8 and computes in int8 where
the interpreter can, ``int8`` computes in int8 throughout, including input and output.

Each file takes one picture of one size: ``images`` (1, H, W, 3) -> ``restored`` (1, H, W, 3), RGB, float32 in [0, 1];
the ``int8`` file takes and returns uint8 with the tensors' scale and zero point: value = scale * (byte - zero point).
These are 1/255 and 0 unless a layer that touches the picture needs another range. A parser's output is
``probabilities`` (1, H, W, classes).
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
import zipfile

import numpy as np
from absl import flags

from deblur_zoo.exported.tflite_file import MEMBER
from deblur_zoo.files.command_line_tools import UsageError
from exporters.atomic_folder import atomic_folder
from exporters.calibration import blurred_faces
from exporters.format import Format
from exporters.information import OUTPUTS
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
    precisions = choose(precisions, faces)
    height, width = size
    if not all(isinstance(side, int) and 1 <= side <= LARGEST_SIDE for side in size):
        raise ValueError(f"the size must be from 1x1 to {LARGEST_SIDE}x{LARGEST_SIDE} pixels, got {height}x{width}")
    calibration, pictures = None, example_pictures(size)
    if faces is not None:
        blurred = blurred_faces(faces, height, width)
        calibration, pictures = blurred.calibration, blurred.checked
    information = information or preset_information(model.name)
    with atomic_folder(path, overwrite) as folder, saved_for_one_size(model, height, width) as saved:
        files = {}
        for precision in precisions:
            content = convert(saved, precision, calibration)
            files[precision] = folder / f"{model.name}_{height}x{width}_{precision}.tflite"
            files[precision].write_bytes(content)
            embed(files[precision], describe(information, precision, content))
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


@contextlib.contextmanager
def saved_for_one_size(model, height, width):
    """A temporary SavedModel for one image of one size; converting a live model would keep variable reads."""
    import keras
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, height, width, 3), tf.float32, name="images")])
    def restore(images):
        return {OUTPUTS[model.kind]: model(images, training=False)}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", restore)
    with tempfile.TemporaryDirectory(prefix="deblur_zoo_tflite_") as folder:
        archive.write_out(folder, verbose=False)
        yield folder


def convert(saved, precision, calibration=None):
    """The bytes of a TFLite file.

    Args:
        saved: path of a SavedModel of static shape.
        precision: one of ``PRECISIONS``.
        calibration: float32 (N, H, W, 3), blurred faces; for ``int8``.

    Raises:
        ValueError: an operator that is not builtin, named with its layers; for ``int8``, a feature that the interpreter
            rejects, see ``dead_features``.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        converter.representative_dataset = lambda: ([picture[None]] for picture in full_range(calibration))
    try:
        content = converter.convert()
    except Exception as error:  # The converter's exception class is private; anything it raises is about the graph.
        raise ValueError(conversion_problem(str(error))) from error
    foreign = foreign_operators(content)
    if foreign:
        raise ValueError(f"the TFLite file needs operators that are not builtin: {', '.join(foreign)}")
    dead = dead_features(content)
    if dead:
        raise ValueError(
            f"{precision}, which --precisions can omit, needs features that vary: {', '.join(dead[:3])} "
            "is zero for every calibration face, a range that the TFLite interpreter rejects"
        )
    return content


def full_range(pictures):
    """The pictures, the first one with a black and a white pixel, so that the ranges include both."""
    pictures = pictures.copy()
    pictures[0, 0, 0], pictures[0, -1, -1] = 0.0, 1.0
    return pictures


def conversion_problem(text):
    """The converter's message in one sentence: the operators and their layers."""
    operators = sorted(set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", text)))
    if not operators:
        return f"the TFLite converter failed: {text.strip().splitlines()[0] if text.strip() else 'no message'}"
    layers = []
    for location in re.findall(r'loc\((?:fused\[)?"([^"]+)"', text) + re.findall(r'"([^"]+/[^"]+)"', text):
        name = location.split("@")[0].split(":")[-1].strip("/")
        if "/" in name and name not in layers:
            layers.append(name)
    where = f" (in {', '.join(layers[:3])})" if layers else ""
    return f"the TFLite format has no builtin operator for {', '.join(operators)}{where}"


def foreign_operators(content):
    """Names of a TFLite file's operators that are not builtin (custom and Flex operators)."""
    from tensorflow.lite.python import schema_py_generated as schema

    file = schema.Model.GetRootAsModel(content, 0)
    codes = [file.OperatorCodes(index) for index in range(file.OperatorCodesLength())]
    custom = [code for code in codes if code.BuiltinCode() == schema.BuiltinOperator.CUSTOM]
    return sorted((code.CustomCode() or b"?").decode() for code in custom)


def dead_features(content):
    """Names of a quantised file's features that the interpreter rejects because they are zero for every image.

    Dead ReLUs make a feature's range, and so its scale, nearly zero. The interpreter aborts the process if an ADD's
    result has a scale of at most twice the larger input's / 2**20 (SUB's does not), or if XNNPACK is to multiply a
    convolution's or a dense layer's sums by 256 or more.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    file = schema.Model.GetRootAsModel(content, 0)
    graph = file.Subgraphs(0)
    builtin = schema.BuiltinOperator
    # Which of the inputs are the image and the kernel.
    places = {builtin.CONV_2D: (0, 1), builtin.FULLY_CONNECTED: (0, 1), builtin.TRANSPOSE_CONV: (2, 1)}

    def scale(index):
        found = graph.Tensors(index).Quantization()
        return float(found.ScaleAsNumpy().max()) if found is not None and found.ScaleLength() else None

    names = []
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        kind = file.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
        if kind != builtin.ADD and kind not in places:
            continue
        result = scale(operator.Outputs(0))
        inputs = [scale(operator.Inputs(place)) for place in places.get(kind, (0, 1))]
        if result is None or None in inputs:
            continue
        dead = 2 * max(inputs) >= 2**20 * result if kind == builtin.ADD else inputs[0] * inputs[1] >= 256 * result
        if dead:
            names.append(graph.Tensors(operator.Outputs(0)).Name().decode().split(";")[0])
    return names


def describe(information, precision, content):
    """A preset's information plus a TFLite file's precision, shapes and quantisation."""
    tensors = {}
    for name, details in zip(("input", "output"), _tensors(content), strict=True):
        scale, zero_point = details["quantization"]
        form = {"type": "uint8", "scale": float(scale), "zero_point": int(zero_point)} if precision == "int8" else {}
        tensors[name] = {**information[name], **form, "shape": [int(side) for side in details["shape"]]}
    return {**information, **tensors, "precision": precision}


def _tensors(content):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    return interpreter.get_input_details()[0], interpreter.get_output_details()[0]


def embed(path, information):
    """Put ``deblur_zoo.json`` into a TFLite file, in the format's usual way: a zip archive after the graph, which any
    zip reader opens. It also has the graph's length and sha256, which reveal damage.
    """
    graph = path.read_bytes()
    information = {**information, "graph": {"bytes": len(graph), "sha256": hashlib.sha256(graph).hexdigest()}}
    entry = zipfile.ZipInfo(MEMBER, date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o644 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, json.dumps(information, indent=1) + "\n")


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
