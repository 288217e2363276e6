"""Sources of faces: folders of images, packed files, TFRecord shards. Each becomes a list of entries.

Entries are read on demand, in threads; unreadable ones then raise a ValueError or OSError.
"""

import glob
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from deblur_zoo.data import containers, tfrecords
from deblur_zoo.files import pictures as picture_files

ACCEPTED = "a folder of images, a .npz or .npy pack, a folder or glob of TFRecord shards (*.tfrecord)"
LABEL_ENDING = "_label"


@dataclass
class Sample:
    """One face.

    Attributes:
        crop: uint8 (H, W, 3), RGB.
        label: uint8 (H, W), or None.
        data: the image's original encoded bytes, or None if it came as pixels.
        origin: (array, index) if the crop is part of a larger array, or None.
    """

    crop: np.ndarray
    label: np.ndarray | None = None
    data: bytes | None = None
    origin: tuple | None = None

    @property
    def digest(self):
        """sha256 of the encoded bytes, or of the pixels if there are none, in hexadecimal."""
        return hashlib.sha256(self.data if self.data is not None else np.ascontiguousarray(self.crop)).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A face that has not been read yet.

    Attributes:
        path: its name: the file, or container/name for the contents of a container.
        load: function that returns its Sample.
    """

    path: Path
    load: Callable


def list_entries(source, labels=None):
    """The contents of a source, in a fixed order.

    Args:
        source: path of a folder, a pack or a shard, or a glob of such paths (``*``, ``?``, ``[...]``).
        labels: for a folder of images: a second folder, with NAME.png in the same sub-folder for each face NAME.*.
            Without it, NAME_label.png beside a face is its label map.

    Returns:
        list of Entry.

    Raises:
        FileNotFoundError: the file or folder does not exist.
        ValueError: an unsupported source, a damaged pack, or labels for a source that is not a folder.
    """
    path = Path(source)
    if path.is_dir():
        shards = tfrecords.list_shards(path)
        return _folder_entries(path, labels) + _record_entries(shards, labels)
    if path.is_file():
        return _file_entries(path, labels)
    matches = sorted(glob.glob(str(source))) if glob.has_magic(str(source)) else []
    if not matches:
        raise FileNotFoundError(f"{source} does not exist; faces are read from {ACCEPTED}.")
    return [entry for match in matches for entry in list_entries(match, labels)]


def _file_entries(path, labels):
    if tfrecords.is_shard(path):
        return _record_entries([path], labels)
    if path.suffix not in (".npz", ".npy"):
        raise ValueError(f"{path} is not a source of faces; accepted: {ACCEPTED}.")
    _refuse_labels(path, labels)
    pack = containers.open_pack(path)
    places = [path / name for name in pack.names]
    if pack.faces is None:
        return [
            Entry(place, lambda data=data, label=label: decode_sample(data, label))
            for place, data, label in zip(places, pack.data, pack.label_data, strict=True)
        ]

    def load(index):
        return Sample(pack.faces[index], None if pack.labels is None else pack.labels[index], None, (pack.faces, index))

    return [Entry(place, lambda index=index: load(index)) for index, place in enumerate(places)]


def _record_entries(shards, labels):
    entries = []
    for shard in shards:
        _refuse_labels(shard, labels)
        for record in tfrecords.read_shard(shard):
            entries.append(Entry(shard / record.name, lambda record=record: _decode_record(record)))
    return entries


def _decode_record(record):
    if record.error:
        raise ValueError(record.error)
    return decode_sample(record.data, record.label_data)


def _refuse_labels(path, labels):
    if labels:
        raise ValueError(f"{path} has its own labels; a folder of labels only goes with a folder of images.")


def _folder_entries(folder, labels):
    pictures = picture_files.list_pictures(folder)
    if labels:
        faces = pictures
        label_paths = [(Path(labels) / face.relative_to(folder)).with_suffix(".png") for face in faces]
        label_paths = [path if path.is_file() else None for path in label_paths]
        _report_missing(folder, labels, label_paths)
    else:
        # A label map is a face's name plus the suffix and .png; an image that merely ends that way is a face.
        stems = {picture.with_suffix("") for picture in pictures}
        beside = {stem: stem.with_name(f"{stem.name}{LABEL_ENDING}.png") for stem in stems}
        maps = set(beside.values()) & set(pictures)
        faces = [picture for picture in pictures if picture not in maps]
        label_paths = [beside[face.with_suffix("")] for face in faces]
        label_paths = [path if path in maps else None for path in label_paths]

    def load(picture, label):
        return decode_sample(picture_files.read_bytes(picture), label.read_bytes() if label else None)

    return [
        Entry(face, lambda face=face, label=label: load(face, label))
        for face, label in zip(faces, label_paths, strict=True)
    ]


def _report_missing(folder, labels, label_paths):
    missing = sum(path is None for path in label_paths)
    if not Path(labels).is_dir():
        raise FileNotFoundError(f"The folder of labels {labels} does not exist.")
    if label_paths and missing == len(label_paths):
        raise FileNotFoundError(f"None of the {missing} faces in {folder} has a label map in {labels} (NAME.png).")
    if missing:
        logging.getLogger(__name__).warning(
            "%d of the %d faces in %s have no label map in %s", missing, len(label_paths), folder, labels
        )


def decode_sample(data, label_data=None):
    """A Sample from encoded bytes.

    Args:
        data: an image file's bytes. Grey becomes RGB; alpha is dropped.
        label_data: a label map's bytes, None or empty for none.

    Raises:
        ValueError: not an image, not a label map, or a label map of another size.
    """
    crop = picture_files.decode(data)
    if crop.ndim == 2:
        crop = np.repeat(crop[:, :, None], 3, axis=2)
    crop = np.ascontiguousarray(crop[:, :, :3])
    label = decode_label(label_data) if label_data else None
    if label is not None and label.shape != crop.shape[:2]:
        raise ValueError(
            f"its label map is {label.shape[1]}x{label.shape[0]} pixels, but the face {crop.shape[1]}x{crop.shape[0]}"
        )
    return Sample(crop, label, bytes(data))


def decode_label(data):
    """The classes in a label map: uint8 (H, W), the values of a grey PNG or the indices of a palette PNG.

    Raises:
        ValueError: any other mode or format; colours are not classes, and lossy formats change them.
    """
    try:
        with Image.open(BytesIO(data), formats=("PNG",)) as image:
            if image.mode not in ("L", "P"):
                raise ValueError(f"its label map has the mode {image.mode}; accepted: 8-bit grey or palette PNG")
            return np.array(image, np.uint8)
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError("its label map is not a readable PNG") from error
