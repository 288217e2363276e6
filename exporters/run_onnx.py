"""Runs an ONNX file on stored requests: ``python run_onnx.py FILE REQUESTS.npz ANSWERS.npz``.

Imports onnxruntime, but neither this project, Keras nor TensorFlow, so the answers come from the written file alone.
``exporters.verify`` describes the two .npz files; a signature is the name of the output.
"""

import sys

import numpy as np
import onnxruntime


def run(file, requests_path, answers_path):
    options = onnxruntime.SessionOptions()
    # Errors arrive as exceptions.
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (argument,) = (given.name for given in session.get_inputs())
    answers = {}
    with np.load(requests_path, allow_pickle=False) as requests:
        for index in range(sum(key.endswith("/signature") for key in requests.files)):
            key = f"{index}/images"
            (answers[key],) = session.run([str(requests[f"{index}/signature"])], {argument: requests[key]})
    np.savez(answers_path, **answers)


if __name__ == "__main__":
    run(*sys.argv[1:])
