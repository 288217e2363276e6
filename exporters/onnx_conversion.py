"""Convert models to ONNX with tf2onnx."""

import contextlib
import json
import logging

import onnx
import tensorflow as tf
import tf2onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from tf2onnx.onnx_opset import math

from deblur_zoo.exported.onnx_file import INPUT, METADATA_KEY, sealed
from deblur_zoo.files.atomic_file import atomic_path
from exporters.information import OUTPUTS
from exporters.onnx_graph import keep_whole_numbers, unknown_operations
from exporters.verify import VerificationError

# tf2onnx's default and so its best-tested one; it is part of ONNX 1.10, so old runtimes read it.
OPSET = 15
DIMENSIONS = ("batch", "height", "width")


def write(model, file, information=None):
    """Write the ONNX file, unchecked. Arguments and errors as those of ``onnx_model.export``."""
    description = _description(information)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name=INPUT)])
    def restore(images):
        return {OUTPUTS[model.kind]: model(images, training=False)}

    converted = convert(restore)
    for value in (*converted.graph.input, *converted.graph.output):
        # Names instead of tf2onnx's numbers; the same for input and output, which have the same shape.
        for dimension, name in zip(value.type.tensor_type.shape.dim, DIMENSIONS, strict=False):
            dimension.dim_param = name
    _save(converted, file, description)


def write_float16(source, file, information=None):
    """Write the half-precision copy of a file that ``write`` wrote, unchecked.

    Args:
        source, file: paths.
        information: as for ``onnx_model.export``.
    """
    description = _description(None if information is None else {**information, "precision": "float16"})
    half = OnnxModel(convert_float_to_float16(onnx.load(str(source)), keep_io_types=True))
    # The converter appends the cast of the input.
    half.topological_sort()
    _save(half.model, file, description)


def _description(information):
    return None if information is None else json.dumps(information, ensure_ascii=False, allow_nan=False)


def _save(model, file, description):
    """Write a model with its description and checksum."""
    onnx.helper.set_model_props(model, {} if description is None else {METADATA_KEY: description})
    with atomic_path(file) as temporary:
        temporary.write_bytes(sealed(model.SerializeToString(deterministic=True)))


def convert(function):
    """The ``onnx.ModelProto`` of a ``tf.function`` with an input signature.

    Raises:
        ValueError: an operation that tf2onnx cannot convert.
    """
    handlers = {name: (_floor_division, []) for name in ("FloorDiv", "FloorMod")}
    try:
        with _quiet("tf2onnx"):
            converted, _ = tf2onnx.convert.from_function(
                function, function.input_signature, opset=OPSET, custom_op_handlers=handlers
            )
    except Exception as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise ValueError(f"tf2onnx cannot convert the model: {type(error).__name__}: {reason}") from error
    # tf2onnx leaves unknown operations unchanged.
    unknown = unknown_operations(converted.graph)
    if unknown:
        raise ValueError(
            f"ONNX opset {OPSET} has no equivalent of the TensorFlow operation {', '.join(sorted(unknown))}"
        )
    keep_whole_numbers(converted)
    return converted


def _floor_division(graph, node, name, _):
    """A tf2onnx handler of FloorDiv and FloorMod for integers, with Python's rounding.

    tf2onnx's own writes only ONNX's Div, which rounds towards zero: -(-7 // 8) would be 0, and padding would be lost.
    """
    kind, (dividend, divisor) = node.type, node.input
    if graph.get_dtype(dividend) not in (onnx.TensorProto.INT32, onnx.TensorProto.INT64):
        (math.FloorDiv.version_6 if kind == "FloorDiv" else math.FloorMod.version_7)(graph, node)
        return
    form = {"shapes": node.output_shapes, "dtypes": node.output_dtypes}
    outputs = node.output
    graph.remove_node(node.name)
    # ONNX's Mod has the sign of the divisor, as Python's.
    if kind == "FloorMod":
        graph.make_node("Mod", [dividend, divisor], name=name, outputs=outputs, **form)
        return
    rest = graph.make_node("Mod", [dividend, divisor], **form).output[0]
    multiple = graph.make_node("Sub", [dividend, rest], **form).output[0]
    graph.make_node("Div", [multiple, divisor], name=name, outputs=outputs, **form)


def check_file(file):
    """Raise VerificationError unless the file is valid ONNX, with shape inference."""
    try:
        onnx.checker.check_model(str(file), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise VerificationError(f"the file is not valid ONNX: {reason}") from error


@contextlib.contextmanager
def _quiet(name):
    """Silence a package's log; relevant problems raise errors."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
