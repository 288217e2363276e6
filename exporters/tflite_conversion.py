"""Convert SavedModels to TFLite files."""

import contextlib
import hashlib
import json
import re
import tempfile
import zipfile

import keras
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.python import schema_py_generated as schema

from deblur_zoo.exported.tflite_file import MEMBER
from exporters.information import OUTPUTS


@contextlib.contextmanager
def saved_for_one_size(model, height, width):
    """A temporary SavedModel for one image of one size; converting a live model would keep variable reads."""

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
        precision: one of ``tflite_model.PRECISIONS``.
        calibration: float32 (N, H, W, 3), blurred faces; for ``int8``.

    Raises:
        ValueError: an operator that is not builtin, named with its layers; for ``int8``, a feature that the interpreter
            rejects, see ``dead_features``.
    """
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
