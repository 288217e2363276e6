"""Runs a SavedModel on stored requests: ``python run_saved_model.py FOLDER REQUESTS.npz ANSWERS.npz``.

Imports neither this project nor Keras, so the answers come from the written files alone. ``exporters.verify`` describes
the two .npz files.
"""

import sys

import numpy as np
import tensorflow as tf


def run(folder, requests_path, answers_path):
    signatures = tf.saved_model.load(folder).signatures
    answers = {}
    with np.load(requests_path, allow_pickle=False) as requests:
        count = sum(key.endswith("/signature") for key in requests.files)
        for index in range(count):
            function = signatures[str(requests[f"{index}/signature"])]
            # Whatever the signature calls its only input and output.
            (argument,), (output,) = function.structured_input_signature[1], function.structured_outputs
            if f"{index}/images" in requests.files:
                sent = tf.constant(requests[f"{index}/images"])
                answers[f"{index}/images"] = function(**{argument: sent})[output].numpy()
                continue
            places = range(sum(key.startswith(f"{index}/files/") for key in requests.files))
            sent = tf.constant([requests[f"{index}/files/{place}"].tobytes() for place in places])
            for place, encoded in enumerate(function(**{argument: sent})[output].numpy()):
                answers[f"{index}/files/{place}"] = np.frombuffer(encoded, np.uint8)
    np.savez(answers_path, **answers)


if __name__ == "__main__":
    run(*sys.argv[1:])
