"""ONNX file for onnxruntime and other runtimes, written by tf2onnx.

One input, ``images``: float32 (N, H, W, 3), RGB in [0, 1], any N, H, W from 1 up. One output, ``restored``: the same
shape; a parser's is ``probabilities``, (N, H, W, classes). N, H and W are dynamic (their names in the file are batch,
height and width).
"""

import contextlib
import json
import logging
import pathlib

from deblur_zoo.exported.onnx_file import INPUT, METADATA_KEY
from exporters.atomic_folder import atomic_folder
from exporters.information import OUTPUTS
from exporters.requirements import require_packages, require_tensorflow
from exporters.verify import VerificationError, float_cases, verify

# tf2onnx's default, so its best tried one; of ONNX 1.10, so old runtimes read it too. No layer here needs a newer one.
OPSET = 15
DIMENSIONS = ("batch", "height", "width")
TOLERANCE = 1e-3
PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
PROGRAM = pathlib.Path(__file__).with_name("run_onnx.py")


def check_backend():
    """Raises RuntimeError where Keras runs on another backend than TensorFlow, or a package is missing."""
    require_tensorflow("an ONNX file")
    require_packages("writing ONNX", PACKAGES, "onnx")


def target(name, out, version):
    """Where a model goes: the folder ``out/name/onnx/version``."""
    return pathlib.Path(out) / name / "onnx" / str(version)


def export(model, path, overwrite=False, information=None):
    """Write ``<model.name>.onnx`` and check what was written.

    The file is written to a temporary folder beside, checked by ``onnx.checker``, run there by onnxruntime in a fresh
    process, compared with the model, and renamed when all comparisons pass.

    Args:
        model: a built ``Deblurrer`` or parser (TensorFlow backend).
        path: the folder to make; see ``target``.
        overwrite: replace what is there already.
        information: dict that JSON can hold, stored in the file's metadata_props as JSON under ``METADATA_KEY``;
            ``deblur_zoo.exported.onnx_file`` reads it.

    Returns:
        list of ``exporters.verify.Compared``.

    Raises:
        FileExistsError: the folder is there already, and ``overwrite`` is false.
        ValueError: tf2onnx cannot convert an operation of the model; the sentence names it.
        exporters.verify.VerificationError: the written file is no valid ONNX or differs from the model; nothing is
            left behind.
        RuntimeError: Keras runs on another backend than TensorFlow, or a package is missing.
    """
    check_backend()
    with atomic_folder(path, overwrite) as folder:
        file = folder / f"{model.name}.onnx"
        write(model, file, information)
        _check_file(file)
        return verify(folder, PROGRAM, float_cases(model, OUTPUTS[model.kind], tolerance=TOLERANCE))


def write(model, file, information=None):
    """Write the ONNX file, unchecked. Arguments and errors as those of ``export``."""
    import onnx
    import tensorflow as tf

    description = None if information is None else json.dumps(information, ensure_ascii=False, allow_nan=False)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name=INPUT)])
    def restore(images):
        return {OUTPUTS[model.kind]: model(images, training=False)}

    converted = convert(restore)
    for value in (*converted.graph.input, *converted.graph.output):
        # Names in place of tf2onnx's numbers; the same for both, since the shapes are.
        for dimension, name in zip(value.type.tensor_type.shape.dim, DIMENSIONS, strict=False):
            dimension.dim_param = name
    if description is not None:
        onnx.helper.set_model_props(converted, {METADATA_KEY: description})
    onnx.save(converted, str(file))


def convert(function):
    """The ``onnx.ModelProto`` of a ``tf.function`` with an input signature.

    Raises:
        ValueError: an operation that tf2onnx cannot convert.
    """
    import tf2onnx

    handlers = {name: (_floor_division, []) for name in ("FloorDiv", "FloorMod")}
    try:
        with _quiet("tf2onnx"):
            converted, _ = tf2onnx.convert.from_function(
                function, function.input_signature, opset=OPSET, custom_op_handlers=handlers
            )
    except Exception as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise ValueError(f"tf2onnx cannot convert the model: {type(error).__name__}: {reason}") from error
    # tf2onnx leaves what it does not know as it is.
    unknown = _unknown_operations(converted.graph)
    if unknown:
        raise ValueError(
            f"tf2onnx has nothing in ONNX opset {OPSET} for the TensorFlow operation {', '.join(sorted(unknown))}"
        )
    return converted


def _floor_division(graph, node, name, _):
    """tf2onnx's handler of FloorDiv and FloorMod for whole numbers, with Python's rounding.

    tf2onnx's own writes ONNX's Div alone, which rounds to zero: -(-7 // 8) would be 0, and nothing would be padded.
    """
    import onnx
    from tf2onnx.onnx_opset import math

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


def _unknown_operations(graph):
    """``type (name)`` of every node, in bodies of branches and loops too, that ONNX does not define."""
    import onnx

    found = []
    for node in graph.node:
        if not onnx.defs.has(node.op_type, node.domain):
            found.append(f"{node.op_type} ({node.name})")
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found += _unknown_operations(inner)
    return found


def _check_file(file):
    import onnx

    try:
        # With shape inference, which finds operators that do not fit together.
        onnx.checker.check_model(str(file), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise VerificationError(f"the written file is no valid ONNX: {reason}") from error


@contextlib.contextmanager
def _quiet(name):
    """Without a package's log lines: what matters in them is raised as an error here."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
