"""Readers of published weight files: arrays by name. Nothing is ever unpickled."""

import json
import math
import zipfile
from pathlib import Path

import h5py
import numpy as np

# Pickles, which can run any code when read.
_TORCH_SUFFIXES = (".pt", ".pth", ".bin")
_HOW_TO_CONVERT = (
    "convert it once with torch installed: "
    "safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'weights.safetensors')"
)


def existing_file(path, title, suffixes):
    """The path of a weight file, if it exists and has an accepted suffix.

    Args:
        path: a path or string.
        title: what the network is, for error messages.
        suffixes: accepted suffixes, lower case.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: an unsupported file, such as torch's pickles.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"the weight file of {title} does not exist: {path}")
    suffix = path.suffix.lower()
    if suffix in _TORCH_SUFFIXES:
        raise ValueError(
            f"{path.name} is a torch file, a Python pickle that could run any code and is never opened: "
            f"{_HOW_TO_CONVERT}"
        )
    if suffix not in suffixes:
        raise ValueError(f"the weights of {title} must be a file ending in {' or '.join(suffixes)}, got {path.name}")
    return path


def read_keras_layers(path, skip=()):
    """Weights by layer of a Keras HDF5 file as written up to Keras 2: only weights, or a whole model.

    Args:
        path: file ending in .h5.
        skip: prefixes of the names of layers to skip.

    Returns:
        dict of layer name to list of arrays, in the file's order; layers without weights are left out.

    Raises:
        ValueError: the file is broken or has another layout.
    """
    try:
        with h5py.File(path, "r") as file:
            root = file["model_weights"] if "model_weights" in file else file
            if "layer_names" not in root.attrs:
                raise ValueError("it has no list of layers, as files of keras.applications have")
            layers = {}
            for layer in map(_text, root.attrs["layer_names"]):
                names = [_text(name) for name in root[layer].attrs.get("weight_names", ())]
                if names and not layer.startswith(tuple(skip)):
                    layers[layer] = [np.asarray(root[layer][name]) for name in names]
            return layers
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise _unreadable(path, "Keras HDF5 file", error) from error


def read_state_dict(path, skip=()):
    """Tensors by name of a state dictionary, saved as .safetensors or .npz.

    Args:
        path: file ending in .safetensors or .npz.
        skip: prefixes of the names of tensors to skip.

    Returns:
        dict of name to array; bfloat16 becomes float32.

    Raises:
        ValueError: the file is broken or has another layout.
    """
    try:
        if Path(path).suffix.lower() == ".safetensors":
            return _read_safetensors(path, tuple(skip))
        with np.load(path, allow_pickle=False) as arrays:
            if not hasattr(arrays, "files"):
                raise ValueError("it contains one array instead of named ones")
            return {name: arrays[name] for name in arrays.files if not name.startswith(tuple(skip))}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, f"{Path(path).suffix} file", error) from error


def _read_safetensors(path, skip):
    """The format: header length (8 bytes, little endian), header (JSON), then the tensors' bytes in row-major order."""
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    size = Path(path).stat().st_size
    tensors = {}
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:
            raise ValueError("it is shorter than its header says")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            if name.startswith(skip):
                continue
            if entry["dtype"] not in types:
                raise ValueError(f"{name} has type {entry['dtype']}; accepted: {', '.join(types)}")
            dtype, (start, end) = np.dtype(types[entry["dtype"]]), entry["data_offsets"]
            if not 0 <= start <= end <= size - 8 - length or end - start != math.prod(entry["shape"]) * dtype.itemsize:
                raise ValueError(f"the bytes of {name} do not match its shape {entry['shape']}, or the file is cut off")
            file.seek(8 + length + start)
            array = np.frombuffer(file.read(end - start), dtype).reshape(entry["shape"])
            if entry["dtype"] == "BF16":
                # Its 16 bits are the upper half of a float32.
                array = (array.astype(np.uint32) << 16).view(np.float32)
            tensors[name] = array
    return tensors


def read_matconvnet_layers(path):
    """Convolutions by name of a MatConvNet network (a "simplenn": a list of layers), a .mat file up to version 7.

    Both forms are supported: everything in a variable ``net``, or separate ``layers`` and ``meta``; and in a layer
    ``weights`` = {filters, biases}, or, in older files, the two as separate fields.

    Args:
        path: file ending in .mat.

    Returns:
        dict of layer name to [filters (H, W, in, out), biases (out,)].

    Raises:
        ImportError: SciPy, which reads .mat files, is not installed.
        ValueError: the file is broken or has another layout.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError("reading a .mat file needs SciPy: pip install scipy") from error
    try:
        variables = loadmat(path, variable_names=["net", "layers"], simplify_cells=True)
        layers = variables.get("net", variables)["layers"]
        return {str(layer["name"]): _filters_and_biases(layer) for layer in layers if layer["type"] == "conv"}
    except Exception as error:  # SciPy raises many types for a broken file.
        raise _unreadable(path, "MatConvNet file", error) from error


def _filters_and_biases(layer):
    filters, biases = layer["weights"] if "weights" in layer else (layer["filters"], layer["biases"])
    return [np.asarray(filters), np.asarray(biases).reshape(-1)]


def _text(name):
    return name.decode("utf8") if isinstance(name, bytes) else str(name)


def _unreadable(path, kind, error):
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ValueError(f"{Path(path).name} cannot be read as a {kind}: {reason}")
