"""A tiny SavedModel whose answers are worked out by hand, and a server of it."""

import pytest


def write_tiny(folder, number):
    """Write version ``number`` of a model without weights worth the name.

    ``serving_default``: images -> restored = number - images. ``serving_bytes``: JPEG or PNG ->
    restored_bytes, PNG of the negative. ``raw``: the same -> restored.
    ``two``: a (N, 2) float, b (N) int64 -> sum = a + b, text_bytes = b"b=<b>", text. ``slow``: seconds (N) -> seconds,
    after as many. ``scalar``: x () -> twice = 2x. ``nothing`` -> seven = 7. ``large``: count () -> as many bytes.

    Args:
        folder: the model's, which gets a folder ``number``.
        number: the version.
    """
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

    class Tiny(tf.Module):
        def __init__(self):
            super().__init__()
            # A variable, so that the folder has files that may be missing.
            self.top = tf.Variable(float(number))

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name="images")])
        def floats(self, images):
            return {"restored": self.top - images}

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="encoded")])
        def files(self, encoded):
            def one(file):
                picture = tf.cond(
                    tf.io.is_jpeg(file),
                    lambda: tf.io.decode_jpeg(file, channels=3),
                    lambda: tf.io.decode_png(file, channels=3),
                )
                return tf.io.encode_png(255 - picture)

            return {"restored_bytes": tf.map_fn(one, encoded, fn_output_signature=tf.TensorSpec((), tf.string))}

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="encoded")])
        def raw(self, encoded):
            return {"restored": self.files(encoded)["restored_bytes"]}

        @tf.function(
            input_signature=[
                tf.TensorSpec((None, 2), tf.float32, name="a"),
                tf.TensorSpec((None,), tf.int64, name="b"),
            ]
        )
        def two(self, a, b):
            text = tf.strings.join([tf.constant("b="), tf.strings.as_string(b)])
            return {"sum": a + tf.cast(b, tf.float32)[:, tf.newaxis], "text_bytes": text, "text": text}

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="seconds")])
        def slow(self, seconds):
            end = tf.timestamp() + tf.cast(tf.reduce_max(seconds), tf.float64)
            rounds = tf.while_loop(lambda rounds: tf.timestamp() < end, lambda rounds: [rounds + 1], [tf.constant(0)])
            with tf.control_dependencies(rounds):
                return {"seconds": tf.identity(seconds)}

        @tf.function(input_signature=[tf.TensorSpec((), tf.float32, name="x")])
        def scalar(self, x):
            return {"twice": 2 * x}

        @tf.function(input_signature=[tf.TensorSpec((), tf.int32, name="count")])
        def large(self, count):
            return {"zeros_bytes": tf.io.serialize_tensor(tf.zeros(count[tf.newaxis], tf.uint8))}

        @tf.function(input_signature=[])
        def nothing(self):
            return {"seven": tf.constant(7)}

    tiny = Tiny()
    names = {"serving_default": tiny.floats, "serving_bytes": tiny.files, "two": tiny.two, "slow": tiny.slow}
    names |= {"raw": tiny.raw, "scalar": tiny.scalar, "nothing": tiny.nothing, "large": tiny.large}
    target = folder / str(number)
    tf.saved_model.save(tiny, str(target), signatures=names)


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory):
    """A folder of models with one: ``tiny``, version 1. Not to be changed."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny(folder / "tiny", 1)
    given = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    yield folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == given


@pytest.fixture(scope="session")
def server(models_folder):
    """A running server of ``models_folder``: ``server.rest`` is its URL, ``server.grpc`` HOST:PORT."""
    pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")
    from deblur_zoo.serving.server import embedded
    from deblur_zoo.serving.server.settings import Settings

    with embedded.running(Settings(models=str(models_folder))) as running:
        yield running
