"""Write faces into one pack or into shards."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from deblur_zoo.data import containers, tfrecords
from deblur_zoo.data.face_store import load_faces, read_samples
from deblur_zoo.files import pictures

FORMATS = ("encoded", "raw", "tfrecord")


@dataclass(frozen=True)
class Packed:
    """Summary of what was written.

    Attributes:
        count: faces.
        size: (height, width) of each.
        labelled: faces with a label map.
        skipped: (path, reason) of unusable files.
        bytes: size of the file, or of all shards.
    """

    count: int
    size: tuple
    labelled: int
    skipped: list
    bytes: int


@dataclass(frozen=True)
class _Encoded:
    data: bytes
    label_data: bytes | None


def format_of(out, format=None):
    """The format of an output.

    Args:
        out: path of the output.
        format: "encoded" (.npz), "raw" (.npz or .npy), "tfrecord" (a folder), or None to choose by the path's suffix:
            encoded for .npz, raw for .npy, else shards.

    Raises:
        ValueError: an unknown format, or a suffix that does not match it.
    """
    ending = Path(out).suffix
    if format is None:
        return {".npz": "encoded", ".npy": "raw"}.get(ending, "tfrecord")
    endings = {"encoded": (".npz",), "raw": (".npz", ".npy")}
    if format not in FORMATS:
        raise ValueError(f"The format must be one of {', '.join(FORMATS)}, got {format!r}.")
    if format == "tfrecord":
        if ending in (".npz", ".npy"):
            raise ValueError(f"The format tfrecord writes a folder of shards, but {Path(out).name!r} names a pack.")
    elif ending not in endings[format]:
        raise ValueError(
            f"The format {format} needs a file ending in {' or '.join(endings[format])}, got {str(out)!r}."
        )
    return format


def pack_faces(sources, out, format=None, labels=None, quality=None, shards=8, minimum_size=128, progress=None):
    """Read faces and write them into one pack or into shards, atomically.

    Args:
        sources, labels, minimum_size, progress: as ``load_faces``.
        out, format: as ``format_of``.
        quality: 1 to 100 re-encodes every face as WebP of this quality. None keeps the original bytes of encoded images
            and encodes raw pixels as lossless WebP.
        shards: number of TFRecord files.

    Returns:
        Packed.

    Raises:
        FileNotFoundError, ValueError: as ``load_faces`` and ``format_of``; a quality with raw pixels.
        FileExistsError: the folder for shards is not empty.
    """
    format = format_of(out, format)
    if quality is not None and (format == "raw" or not 1 <= quality <= 100):
        raise ValueError(f"A quality must be from 1 to 100 and needs encoded images; got {quality} with {format}.")
    if not Path(out).absolute().parent.is_dir():
        raise FileNotFoundError(f"The folder {Path(out).parent} for {Path(out).name} does not exist.")
    if format == "raw":
        store = load_faces(sources, minimum_size, labels=labels, progress=progress)
        names = [path.name for path in store.paths]
        containers.write_raw(out, names, store.faces, store.labels)
        labelled = 0 if store.labels is None else int((store.labels != 255).any(axis=(1, 2)).sum())
        return Packed(len(store), store.faces.shape[1:3], labelled, store.skipped, _size(out))
    if format == "tfrecord":
        tfrecords.check_target(out)
    entries, kept, skipped, size = read_samples(
        sources, minimum_size, labels=labels, convert=lambda sample: _encode(sample, quality), progress=progress
    )
    names = [entry.path.name for entry in entries]
    data = [encoded.data for encoded in kept]
    label_data = [encoded.label_data for encoded in kept]
    labelled = sum(label is not None for label in label_data)
    if format == "encoded":
        containers.write_encoded(out, names, data, label_data if labelled else None)
    else:
        tfrecords.write_shards(out, names, data, label_data if labelled else None, shards)
    return Packed(len(names), size, labelled, skipped, _size(out))


def _encode(sample, quality):
    data = sample.data
    if quality is not None:
        buffer = BytesIO()
        Image.fromarray(np.ascontiguousarray(sample.crop)).save(buffer, "WEBP", quality=quality)
        data = buffer.getvalue()
    elif data is None:
        data = pictures.encode(sample.crop, "webp")
    return _Encoded(data, None if sample.label is None else pictures.encode(sample.label, "png"))


def _size(out):
    out = Path(out)
    return sum(path.stat().st_size for path in (out.iterdir() if out.is_dir() else [out]))
