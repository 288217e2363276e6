"""TFLite files that ``exporters`` wrote: one image size; ``deblur_zoo.json`` in a zip archive after the graph."""

import hashlib
import json
import os
import threading
import zipfile
from pathlib import Path

import numpy as np

from deblur_zoo.files.json_files import LARGEST_JSON

MEMBER = "deblur_zoo.json"


def information(path):
    """The description that a file carries.

    Returns:
        dict; see ``exporters.information``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a TFLite file of ours, truncated or altered.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(MEMBER).file_size > LARGEST_JSON:
                raise ValueError(f"{MEMBER} is larger than 1 MB")
            content = json.loads(archive.read(MEMBER))
        size, sha256 = int(content["graph"]["bytes"]), content["graph"]["sha256"]
        data = path.read_bytes()[:size]
    # The zip reader raises about ten kinds of exceptions on invalid bytes.
    except Exception as error:
        raise ValueError(f"{path} is not a TFLite file that deblur-zoo wrote, or it is truncated: {error}.") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{path} is damaged or was altered: its graph's sha256 is not the recorded one.")
    return content


def open_runner(path, threads=None):
    """A function that runs a file.

    Args:
        path: a file that ``information`` accepts.
        threads: number of threads; None: one for each core, at most 4.

    Returns:
        function of float32 (N, H, W, 3) in [0, 1], H and W the file's, to the same. Images are processed one by one,
        also across threads: an interpreter has room for one. It raises ValueError for another size. Its attribute
        ``fixed_size`` is (H, W).

    Raises:
        ImportError: the interpreter is not installed.
        ValueError: the interpreter rejects the file.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(f"{path} needs the TFLite interpreter: pip install 'deblur-zoo[tflite]'") from error
    try:
        interpreter = Interpreter(str(path), num_threads=threads or min(4, os.cpu_count() or 1))
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"the TFLite interpreter does not take {path}: {error}") from error
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    height, width = (int(side) for side in taken["shape"][1:3])
    integer = taken["dtype"] == np.uint8
    lock = threading.Lock()

    def run(images):
        if images.shape[1:3] != (height, width):
            raise ValueError(
                f"{path} takes pictures of {height}x{width} pixels (height x width), not {images.shape[1]}x"
                f"{images.shape[2]}: align the faces to this size, or export a file for another with --size"
            )
        sent = images.astype(np.float32)
        if integer:
            scale, zero_point = taken["quantization"]
            sent = np.clip(np.rint(sent / scale) + zero_point, 0, 255).astype(np.uint8)
        restored = []
        for picture in sent:
            with lock:
                interpreter.set_tensor(taken["index"], picture[None])
                interpreter.invoke()
                restored.append(interpreter.get_tensor(given["index"])[0])
        values = np.stack(restored).astype(np.float32)
        scale, zero_point = given["quantization"] if integer else (1, 0)
        return np.clip(scale * (values - zero_point), 0, 1).astype(np.float32)

    run.fixed_size = (height, width)
    return run
