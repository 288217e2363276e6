"""Runs a TFLite file on stored requests: ``python run_tflite.py FILE REQUESTS.npz ANSWERS.npz``.

Imports only the interpreter, neither TensorFlow nor this project. ``exporters.verify`` describes the .npz files.
Pictures run one by one, converted with the scale and zero point of the file's input and output if these are bytes. The
answers also have ``seconds/1`` and ``seconds/2``: the times of single runs with one and two threads.
"""

import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

RUNS = 20


def run(path, requests_path, answers_path):
    answers = {}
    with np.load(requests_path, allow_pickle=False) as requests:
        batches = {key: requests[key] for key in requests.files if key.endswith("/images")}
    for threads in (1, 2):
        interpreter = Interpreter(path, num_threads=threads)
        interpreter.allocate_tensors()
        taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

        def restore(picture, interpreter=interpreter, taken=taken, given=given):
            interpreter.set_tensor(taken["index"], picture[None])
            interpreter.invoke()
            return interpreter.get_tensor(given["index"])[0]

        def convert(pictures, taken=taken):
            if taken["dtype"] != np.uint8:
                return pictures
            scale, zero_point = taken["quantization"]
            return np.clip(np.rint(pictures / scale) + zero_point, 0, 255).astype(np.uint8)

        for key, pictures in batches.items():
            restored = np.stack([restore(picture) for picture in convert(pictures)]).astype(np.float32)
            scale, zero_point = given["quantization"] if given["dtype"] == np.uint8 else (1, 0)
            answers[key] = (scale * (restored - zero_point)).astype(np.float32)
        first = convert(next(iter(batches.values())))[0]
        seconds = []
        for _ in range(RUNS):
            start = time.perf_counter()
            restore(first)
            seconds.append(time.perf_counter() - start)
        answers[f"seconds/{threads}"] = np.array(seconds)
    np.savez(answers_path, **answers)


if __name__ == "__main__":
    run(*sys.argv[1:])
