"""Loads an export for TensorFlow Hub in every way: ``python run_tf_hub.py FOLDER REQUESTS.npz ANSWERS.npz``.

Imports neither this project nor Keras 3, so the answers come from the written files alone. FOLDER has ``model/`` and
one ``.tar.gz``. ``exporters.verify`` describes the two .npz files; a request's signature is one of the ways in ``run``.
At the end a step of gradient descent must lower a loss, or the process fails with one sentence.
"""

import contextlib
import functools
import http.server
import os
import pathlib
import sys
import tempfile
import threading

# The share of the loss that the step would take off if the loss were a straight line: far above float32's rounding, and
# small enough for a bent one.
STEP = 1e-3


def run(folder, requests_path, answers_path):
    # tensorflow_hub fetches archives over HTTP only; not through a proxy here.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"
    with tempfile.TemporaryDirectory() as cache, serve_files(folder) as address:
        os.environ["TFHUB_CACHE_DIR"] = cache
        os.environ["TFHUB_MODEL_LOAD_FORMAT"] = "COMPRESSED"
        import numpy as np
        import tensorflow as tf
        import tensorflow_hub as hub

        (archive,) = pathlib.Path(folder).glob("*.tar.gz")
        model, url = os.path.join(folder, "model"), f"{address}/{archive.name}"
        loaded, layer = hub.load(model), hub.KerasLayer(model, trainable=True)
        functions = {
            "hub.load(FOLDER)": loaded,
            "hub.load(ARCHIVE)": hub.load(url),
            "hub.KerasLayer(FOLDER)": hub.KerasLayer(model),
            "hub.KerasLayer(ARCHIVE)": hub.KerasLayer(url),
            "hub.load(FOLDER).signatures": only_output(loaded.signatures["serving_default"]),
            "hub.load(FOLDER), training": in_training(loaded, loaded),
            "hub.KerasLayer(FOLDER), training": in_training(layer, layer),
        }
        answers = {}
        with np.load(requests_path, allow_pickle=False) as requests:
            for index in range(sum(key.endswith("/signature") for key in requests.files)):
                function = functions[str(requests[f"{index}/signature"])]
                images = tf.constant(requests[f"{index}/images"])
                answers[f"{index}/images"] = function(images).numpy()
        check_training(loaded, "hub.load")
        check_training(layer, "hub.KerasLayer")
    np.savez(answers_path, **answers)


def only_output(signature):
    """The signature as a function that returns its only output."""

    def call(images):
        (output,) = signature(images=images).values()
        return output

    return call


@contextlib.contextmanager
def serve_files(folder):
    """A context that serves a folder's files on this machine and yields the address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def in_training(function, owner):
    """The function with ``training=True``; restores state that training changes (averages, seeds) after each call."""

    def call(images):
        trained = {id(variable) for variable in owner.trainable_variables}
        state = [(variable, variable.numpy()) for variable in owner.variables if id(variable) not in trained]
        restored = function(images, training=True)
        for variable, value in state:
            variable.assign(value)
        return restored

    return call


def check_training(owner, name):
    """One step of gradient descent on an L2 loss; exits with a sentence unless the loss falls."""
    import tensorflow as tf

    rows, columns = tf.linspace(0.0, 1.0, 32)[:, tf.newaxis, tf.newaxis], tf.linspace(0.0, 1.0, 32)[:, tf.newaxis]
    phases = tf.reshape(tf.range(6.0), (2, 1, 1, 3))
    images = 0.5 + 0.4 * tf.sin(7 * rows + phases) * tf.cos(5 * columns - phases)
    restore = in_training(owner, owner)
    # Any target will do that the model does not give already.
    wanted = 0.5 * restore(images) + 0.1
    variables = list(owner.trainable_variables)
    if not variables:
        sys.exit(f"{name}: there are no trainable variables")
    with tf.GradientTape() as tape:
        before = tf.reduce_mean(tf.square(restore(images) - wanted))
    gradients = tape.gradient(before, variables)
    pairs = [
        (variable, gradient) for variable, gradient in zip(variables, gradients, strict=True) if gradient is not None
    ]
    square = sum(tf.reduce_sum(tf.square(gradient)) for _, gradient in pairs)
    if not pairs or not square > 0:
        sys.exit(f"{name}: the loss has no gradient for the trainable variables")
    for variable, gradient in pairs:
        variable.assign_sub(STEP * before / square * gradient)
    after = tf.reduce_mean(tf.square(restore(images) - wanted))
    if not after < before:
        sys.exit(f"{name}: a step of fine-tuning did not lower the loss: {before:.6g} before, {after:.6g} after")


if __name__ == "__main__":
    run(*sys.argv[1:])
