"""Reads the ONNX files that ``exporters.onnx_model`` writes, with onnxruntime alone.

Nothing is unpickled, operator libraries are not loaded, and external weight files are not opened: ours contain all
their weights. A file ends with the sha256 of everything before it, which is checked first.
"""

import hashlib
import json
import os

import numpy as np

# As exporters.onnx_model writes them.
METADATA_KEY = "deblur_zoo"
INPUT, OUTPUT = "images", "restored"
CHECKSUM_KEY = b"deblur_zoo_sha256"


def sealed(content):
    """An ONNX file's bytes with the sha256 of these bytes appended as an entry of ``metadata_props``.

    Entries of a protocol buffer's repeated field may follow at the end, so every ONNX reader accepts the result.
    Anywhere else the entry would change the bytes that it describes.
    """
    return content + _seal(content)


def _seal(content):
    # Field 14 of ModelProto, metadata_props: a message whose fields 1 and 2 are key and value.
    digest = hashlib.sha256(content).hexdigest().encode()
    entry = b"\x0a" + bytes([len(CHECKSUM_KEY)]) + CHECKSUM_KEY + b"\x12" + bytes([len(digest)]) + digest
    return b"\x72" + bytes([len(entry)]) + entry


_SEAL_LENGTH = len(_seal(b""))


def information(path):
    """What the exporter stored about the model.

    Args:
        path: of the .onnx file.

    Returns:
        dict, from JSON.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not an ONNX file that this project wrote, or a truncated or altered one.
        ImportError: onnxruntime is not installed.
    """
    # Nothing is run: optimising would take most of the time.
    return _open(path, optimize=False)[1]


def open_runner(path):
    """A function that runs an ONNX file.

    Args:
        path: of the .onnx file.

    Returns:
        function that takes float32 (N, H, W, 3), RGB in [0, 1], any N, H, W from 1 up, and gives the same shape. It
        raises ValueError for another shape.

    Raises:
        as ``information``.
    """
    session, _ = _open(path, optimize=True)

    def restore(images):
        images = np.asarray(images, np.float32)
        if images.ndim != 4 or images.shape[-1] != 3 or not images.size:
            raise ValueError(f"images must be (N, H, W, 3), with N, H and W of at least 1, got {images.shape}")
        return session.run([OUTPUT], {INPUT: images})[0]

    return restore


def _open(path, optimize):
    """(onnxruntime session, stored dict) of a file, both checked."""
    path = os.path.abspath(os.fspath(path))
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder: name the .onnx file in it")
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file {path}")
    try:
        import onnxruntime
    except ImportError:
        raise ImportError("an ONNX file needs onnxruntime to run: pip install 'deblur-zoo[onnx]'") from None
    with open(path, "rb") as file:
        content = file.read()
    foreign = f"{path} is not an ONNX file that deblur-zoo wrote"
    if content[-_SEAL_LENGTH:] != _seal(content[:-_SEAL_LENGTH]):
        raise ValueError(f"{foreign}, or it is damaged or was altered: it does not end with its sha256")
    options = onnxruntime.SessionOptions()
    # Errors are raised as exceptions.
    options.log_severity_level = 4
    # Where external weights would be searched: a file has no folder below it.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", path)
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime's errors have no common base class.
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise ValueError(f"{foreign}, or it is damaged: {reason}") from None
    stored = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if stored is None:
        raise ValueError(f"{foreign}: its metadata has no key {METADATA_KEY!r}")
    try:
        stored = json.loads(stored)
    except (ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        raise ValueError(f"{foreign}: its metadata entry {METADATA_KEY!r} is not a JSON object")
    for kind, values, name in (("input", session.get_inputs(), INPUT), ("output", session.get_outputs(), OUTPUT)):
        forms = [(value.name, value.type, len(value.shape or ()), (value.shape or [])[-1:]) for value in values]
        if forms != [(name, "tensor(float)", 4, [3])] and stored.get("kind", "deblurrer") == "deblurrer":
            raise ValueError(f"{foreign}: its only {kind} must be {name!r}, float32 (N, H, W, 3)")
    return session, stored
