"""Packs of faces in one file, read without TensorFlow.

- ``.npz``, encoded: "data" uint8 (B,), the concatenated bytes of the image files; "offsets" int64 (N + 1,), where each
  begins; "names" (N,); with labels also "label_data" and "label_offsets", PNG bytes, empty for a face without labels.
- ``.npz``, raw: "faces" uint8 (N, H, W, 3), "names" (N,), with labels also "labels" uint8 (N, H, W).
- ``.npy``, raw: only the array of faces, memory-mapped; its labels, if any, are in NAME_label.npy beside it.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deblur_zoo.files.atomic_file import atomic_path

FORMAT_VERSION = 1


@dataclass
class Pack:
    """Contents of a pack: encoded images or pixels; the other is None.

    Attributes:
        names: list of N names.
        data, label_data: lists of N encoded images and label maps (None for none).
        faces, labels: uint8 (N, H, W, 3), and (N, H, W) or None.
    """

    names: list
    data: list | None = None
    label_data: list | None = None
    faces: np.ndarray | None = None
    labels: np.ndarray | None = None


def label_path(path):
    """Path of the labels of a .npy pack."""
    path = Path(path)
    return path.with_name(f"{path.stem}_label.npy")


def open_pack(path):
    """Read a pack; a .npy file's pixels are memory-mapped.

    Raises:
        ValueError: it is damaged, has a newer format, or is not a pack.
    """
    path = Path(path)
    try:
        content = _read(path)
    except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged or was not written by python -m deblur_zoo.data.") from error
    if int(content.get("format_version", FORMAT_VERSION)) > FORMAT_VERSION:
        raise ValueError(f"{path} has a newer format; this version of deblur_zoo reads packs up to {FORMAT_VERSION}.")
    if "faces" in content:
        return _raw_pack(path, content["faces"], content.get("labels"), content.get("names"))
    if "data" not in content or "offsets" not in content:
        raise ValueError(f"{path} is not a pack of faces: it has neither 'faces' nor 'data' and 'offsets'.")
    data = _split(path, content["data"], content["offsets"])
    label_data = [None] * len(data)
    if "label_data" in content:
        label_data = [label or None for label in _split(path, content["label_data"], content["label_offsets"])]
    return Pack(_names(path, content.get("names"), len(data)), data, _same_length(path, data, label_data))


def _read(path):
    """The arrays of a pack by name; nothing is unpickled."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    arrays = {"faces": path, "labels": label_path(path)}
    return {name: np.load(p, mmap_mode="r", allow_pickle=False) for name, p in arrays.items() if p.is_file()}


def _raw_pack(path, faces, labels, names):
    if faces.dtype != np.uint8 or faces.ndim != 4 or faces.shape[3] != 3:
        raise ValueError(f"The faces of the pack {path} must be uint8 (N, H, W, 3), got {faces.dtype} {faces.shape}.")
    if labels is not None and (labels.dtype != np.uint8 or labels.shape != faces.shape[:3]):
        raise ValueError(f"The labels of the pack {path} must be uint8 (N, H, W), got {labels.dtype} {labels.shape}.")
    # Plain arrays over the mapped memory: slicing a memmap object costs several times as much as slicing an array.
    labels = None if labels is None else labels.view(np.ndarray)
    return Pack(_names(path, names, len(faces)), faces=faces.view(np.ndarray), labels=labels)


def _names(path, names, count):
    return _same_length(path, range(count), [str(i) for i in range(count)] if names is None else names.tolist())


def _same_length(path, one, other):
    if len(one) != len(other):
        raise ValueError(f"The pack {path} is damaged: {len(one)} faces, but {len(other)} names or labels.")
    return other


def _split(path, data, offsets):
    whole = data.dtype == np.uint8 and data.ndim == 1 and offsets.ndim == 1 and len(offsets) and offsets[0] == 0
    if not whole or offsets[-1] != len(data) or (np.diff(offsets) < 0).any():
        raise ValueError(f"The pack {path} is damaged: its offsets do not match its data.")
    view = memoryview(np.ascontiguousarray(data))
    return [bytes(view[start:end]) for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]


def _join(parts):
    """Concatenated bytes, and where each part begins."""
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return np.frombuffer(b"".join(parts), np.uint8), offsets


def write_encoded(path, names, data, label_data=None):
    """Write an encoded .npz pack atomically.

    Args:
        path: ends in .npz.
        names: N names.
        data: bytes of N images.
        label_data: bytes of N label maps, None for a face without one; or None.
    """
    content = dict(zip(("data", "offsets"), _join(data), strict=True))
    if label_data is not None:
        labels = _join([label or b"" for label in label_data])
        content |= dict(zip(("label_data", "label_offsets"), labels, strict=True))
    with atomic_path(path) as temporary:
        np.savez(temporary, format_version=np.int64(FORMAT_VERSION), names=np.array(names), **content)


def write_raw(path, names, faces, labels=None):
    """Write a raw pack atomically, .npz or .npy depending on the path.

    Args:
        path: ends in .npz or .npy.
        names: N names; a .npy file does not store them.
        faces: uint8 (N, H, W, 3).
        labels: uint8 (N, H, W), or None.
    """
    path = Path(path)
    if path.suffix == ".npz":
        content = {"faces": faces} if labels is None else {"faces": faces, "labels": labels}
        with atomic_path(path) as temporary:
            np.savez(temporary, format_version=np.int64(FORMAT_VERSION), names=np.array(names), **content)
        return
    with atomic_path(path) as temporary:
        np.save(temporary, faces)
        # Inside the block: a failure leaves neither, and old labels are beside new faces only for a moment.
        if labels is not None:
            with atomic_path(label_path(path)) as temporary_labels:
                np.save(temporary_labels, labels)
        else:
            label_path(path).unlink(missing_ok=True)
