"""TensorFlow SavedModel with a signature for float batches and one for encoded pictures.

``serving_default``: ``images``, float32 (N, H, W, 3), RGB in [0, 1], any N, H, W from 1 up -> ``restored``, the same
shape.

``serving_bytes``: ``encoded``, a batch of strings, each a JPEG or PNG file -> ``restored``, a batch of strings, each an
8-bit RGB PNG of its input's height and width. The pictures of a batch may differ in size; they are restored one by one.
Grey becomes RGB, an alpha channel is dropped, 16-bit PNGs are read with 8 bits. EXIF data is neither read nor kept:
rotate photos upright before sending them. A file that is no picture fails its whole batch.
"""

import pathlib

from exporters.atomic_folder import atomic_folder
from exporters.verify import encoded_cases, float_cases, verify

FLOAT_SIGNATURE = "serving_default"
BYTES_SIGNATURE = "serving_bytes"
PROGRAM = pathlib.Path(__file__).with_name("run_saved_model.py")


def check_backend():
    """Raises RuntimeError where Keras runs on another backend than TensorFlow."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"a SavedModel is written by the TensorFlow backend, and Keras runs on {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow"
        )


def target(name, out, version):
    """Where a model goes: ``out/name/version``, the layout that TensorFlow Serving watches."""
    return pathlib.Path(out) / name / str(version)


def export(model, path, overwrite=False):
    """Write a model and check what was written.

    The files are written to a temporary folder beside, run there in a fresh process, compared with the model, and
    renamed when all comparisons pass.

    Args:
        model: a built ``Deblurrer`` (TensorFlow backend).
        path: the folder to make; see ``target``.
        overwrite: replace what is there already.

    Returns:
        list of ``exporters.verify.Compared``.

    Raises:
        FileExistsError: the folder is there already, and ``overwrite`` is false.
        exporters.verify.VerificationError: the written files differ from the model; nothing is left behind.
        RuntimeError: Keras runs on another backend than TensorFlow.
    """
    check_backend()
    with atomic_folder(path, overwrite) as folder:
        write(model, folder)
        cases = float_cases(model, FLOAT_SIGNATURE) + encoded_cases(model, BYTES_SIGNATURE)
        return verify(folder, PROGRAM, cases)


def write(model, folder):
    """Write the SavedModel with both signatures into a folder, unchecked."""
    import keras

    restore_floats, restore_files = signatures(model)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(FLOAT_SIGNATURE, restore_floats)
    archive.add_endpoint(BYTES_SIGNATURE, restore_files)
    archive.write_out(str(folder), verbose=False)


def signatures(model):
    """The two signatures of a ``Deblurrer`` as ``tf.function``s."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name="images")])
    def restore_floats(images):
        return {"restored": model(images, training=False)}

    def restore_file(encoded):
        picture = tf.cond(
            tf.io.is_jpeg(encoded),
            # The default, faster transform differs from other decoders by several grey levels.
            lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
            lambda: tf.io.decode_png(encoded, channels=3),
        )
        restored = model(tf.cast(picture, tf.float32)[tf.newaxis] / 255.0, training=False)[0]
        return tf.io.encode_png(tf.cast(tf.round(255.0 * restored), tf.uint8))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="encoded")])
    def restore_files(encoded):
        return {"restored": tf.map_fn(restore_file, encoded, fn_output_signature=tf.TensorSpec((), tf.string))}

    return restore_floats, restore_files
