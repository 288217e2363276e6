"""TensorFlow SavedModel with a signature for float batches and one for encoded pictures.

Signatures of a deblurring model:

``serving_default``: ``images``, float32 (N, H, W, 3), RGB in [0, 1], any N, H, W from 1 up -> ``restored``, the same
shape.

``serving_bytes``: ``encoded``, a batch of strings, each a JPEG or PNG file -> ``restored_bytes``, a batch of strings,
each an 8-bit RGB PNG of its input's height and width. The pictures of a batch may differ in size; they are restored one
by one. Grey becomes RGB, an alpha channel is dropped, 16-bit PNGs are read as 8-bit. EXIF data is neither read nor
kept: send photos upright. One file that is not an image fails its whole batch.

A parser has ``serving_default`` only, ``images`` -> ``probabilities``, float32 (N, H, W, classes).

``assets.extra`` has ``tf_serving_warmup_requests``, requests that TensorFlow Serving runs before it reports the model
as available, and ``deblur_zoo.json``, the model's description (see ``exporters.information``).
"""

import io
import json
import pathlib

import numpy as np
from PIL import Image

from deblur_zoo.exported.graph_operations import check_operations
from deblur_zoo.exported.saved_model_folder import BYTES_SIGNATURE, FLOAT_SIGNATURE, INFORMATION_FILE, WARM_UP_FILE
from deblur_zoo.faces.alignment import CROP_SIZE
from deblur_zoo.files.atomic_folder import atomic_folder
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.serving import protocol
from exporters.format import Format
from exporters.information import OUTPUTS
from exporters.requirements import require_tensorflow
from exporters.verify import encoded_cases, float_cases, verify

# The largest batch that a server forms with exporters/serving_files.py's parameters.
LARGEST_BATCH = 16
PROGRAM = pathlib.Path(__file__).with_name("run_saved_model.py")


def check_backend():
    """Raises RuntimeError if Keras does not run on TensorFlow."""
    require_tensorflow("a SavedModel")


def export(model, path, overwrite=False, information=None):
    """Write a model and verify it.

    The files are written to a temporary folder, run in a fresh process and compared with the model. The folder is
    renamed when all comparisons pass.

    Args:
        model: a built ``Deblurrer`` or parser (TensorFlow backend).
        path: the folder to create; see ``FORMAT.target``.
        overwrite: replace an existing folder.
        information: JSON-serialisable dict for ``assets.extra/deblur_zoo.json``; None writes no such file.

    Returns:
        list of ``exporters.verify.Compared``.

    Raises:
        FileExistsError: the folder exists, and ``overwrite`` is false.
        exporters.verify.VerificationError: the written files differ from the model; no files remain.
        RuntimeError: Keras does not run on TensorFlow.
        TypeError: the information is not JSON-serialisable.
    """
    check_backend()
    with atomic_folder(path, overwrite) as folder:
        write(model, folder)
        # The library must accept what the exporter writes.
        check_operations(folder)
        write_warm_up(model, folder)
        write_information(information, folder)
        cases = float_cases(model, FLOAT_SIGNATURE)
        if BYTES_SIGNATURE in signature_names(model):
            cases += encoded_cases(model, BYTES_SIGNATURE)
        return verify(folder, PROGRAM, cases)


def write(model, folder):
    """Write the SavedModel with its signatures into a folder, unchecked."""
    import keras

    archive = keras.export.ExportArchive()
    archive.track(model)
    for name in signature_names(model):
        archive.add_endpoint(name, SIGNATURES[name](model))
    archive.write_out(str(folder), verbose=False)


def write_warm_up(model, folder):
    """Write requests to each signature as TFRecords of tensorflow.serving.PredictionLog.

    The first calls of a graph allocate memory and choose kernels for their shapes; TensorFlow Serving makes these calls
    before it routes traffic to a version.

    Args:
        model: the model.
        folder: a SavedModel's folder.
    """
    import tensorflow as tf

    path = pathlib.Path(folder, WARM_UP_FILE)
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, argument, tensor in warm_up_tensors():
            if signature not in signature_names(model):
                continue
            specification = protocol.ModelSpec(name=model.name, signature_name=signature)
            request = protocol.PredictRequest(model_spec=specification, inputs={argument: tensor})
            log = protocol.PredictionLog(predict_log=protocol.PredictLog(request=request))
            writer.write(log.SerializeToString())


def warm_up_tensors():
    """(signature, argument, TensorProto) of each warm-up request: one face, a full batch, a PNG and a JPEG."""
    # Grey faces: the cost of a convolution does not depend on the values, and these compress to a few bytes.
    floats = [protocol.filled_tensor(0.5, (count, CROP_SIZE, CROP_SIZE, 3)) for count in (1, LARGEST_BATCH)]
    files = [protocol.to_tensor([_grey_picture(form)]) for form in ("PNG", "JPEG")]
    return [(FLOAT_SIGNATURE, "images", tensor) for tensor in floats] + [
        (BYTES_SIGNATURE, "encoded", tensor) for tensor in files
    ]


def _grey_picture(form):
    buffer = io.BytesIO()
    Image.fromarray(np.full((CROP_SIZE, CROP_SIZE, 3), 128, np.uint8)).save(buffer, form)
    return buffer.getvalue()


def write_information(information, folder):
    """Write ``assets.extra/deblur_zoo.json`` into a SavedModel's folder, unless the information is None.

    It also gets "files", the sha256 of every other file of the folder, which reveals damage.
    """
    if information is None:
        return
    folder = pathlib.Path(folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}
    information = {**information, "files": files}
    path = pathlib.Path(folder, INFORMATION_FILE)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(information, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def signature_names(model):
    """The signatures of a model: ``serving_bytes`` only if its output is an image."""
    return (FLOAT_SIGNATURE, BYTES_SIGNATURE) if model.kind == "deblurrer" else (FLOAT_SIGNATURE,)


def float_signature(model):
    """``serving_default`` as a ``tf.function``."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name="images")])
    def restore_floats(images):
        return {OUTPUTS[model.kind]: model(images, training=False)}

    return restore_floats


def bytes_signature(model):
    """``serving_bytes`` as a ``tf.function``."""
    import tensorflow as tf

    def restore_file(encoded):
        picture = tf.cond(
            tf.io.is_jpeg(encoded),
            # The faster default transform differs from other decoders by several grey levels.
            lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
            lambda: tf.io.decode_png(encoded, channels=3),
        )
        restored = model(tf.cast(picture, tf.float32)[tf.newaxis] / 255.0, training=False)[0]
        return tf.io.encode_png(tf.cast(tf.round(255.0 * restored), tf.uint8))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="encoded")])
    def restore_files(encoded):
        # TensorFlow Serving's REST API encodes bytes as base64 only if the name ends in _bytes; otherwise it fails.
        return {"restored_bytes": tf.map_fn(restore_file, encoded, fn_output_signature=tf.TensorSpec((), tf.string))}

    return restore_files


SIGNATURES = {FLOAT_SIGNATURE: float_signature, BYTES_SIGNATURE: bytes_signature}
# TensorFlow Serving watches a folder of versions.
FORMAT = Format("saved_model", export, check_backend, own_folder=False)
