"""TFRecord shards of faces, one ``tf.train.Example`` each: "image" (an image file's bytes), "name", "label" (PNG).

A shard of pairs adds "blurred", the blurred version of "image". It can also be read as a shard of sharp faces.

TensorFlow is imported only when a shard is read or written.
"""

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from deblur_zoo.files.atomic_folder import atomic_folder

ENDING = ".tfrecord"


@dataclass(frozen=True)
class FaceRecord:
    """One record: its name, encoded image, label map and blurred image (None for none), or its error."""

    name: str
    data: bytes | None = None
    label_data: bytes | None = None
    blurred_data: bytes | None = None
    error: str | None = None


def _tensorflow():
    try:
        import tensorflow
    except ImportError:
        raise ValueError(
            "TFRecord shards need TensorFlow, which is not installed; use a .npz or .npy pack of the faces instead."
        ) from None
    keras = sys.modules.get("keras")
    if keras is not None and keras.backend.backend() != "tensorflow":
        # Otherwise it would take the accelerators' memory from the active backend.
        try:
            tensorflow.config.set_visible_devices([], "GPU")
        except RuntimeError:  # already initialised
            pass
    return tensorflow


def is_shard(path):
    """Whether a file name is that of a shard: NAME.tfrecord, or NAME.tfrecord-00000-of-00008."""
    return ENDING in Path(path).name and not Path(path).name.startswith(".")


def list_shards(folder):
    """The shards directly in a folder, sorted by name."""
    return sorted(path for path in Path(folder).iterdir() if path.is_file() and is_shard(path))


def read_shard(path):
    """The records of a shard in order, not yet decoded.

    A damaged record ends the shard, since the start of the next one is unknown; the last FaceRecord then has the error.

    Returns:
        list of FaceRecord.

    Raises:
        ValueError: TensorFlow is not installed.
    """
    tf = _tensorflow()
    records = []
    # Errors of the file system propagate; tf.errors.DataLossError is a wrong checksum or a truncated file.
    with tf.device("CPU:0"):
        iterator = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        while True:
            number = len(records)
            try:
                records.append(_parse(tf, next(iterator), number))
            except StopIteration:
                return records
            except tf.errors.OpError:
                sentence = f"record {number} is damaged; the rest of the shard is skipped"
                records.append(FaceRecord(f"record-{number}", error=sentence))
                return records


def _parse(tf, content, number):
    try:
        features = tf.train.Example.FromString(content).features.feature
    except DecodeError:
        return FaceRecord(f"record-{number}", error="the record is not a tf.train.Example")

    def value(name):
        values = features[name].bytes_list.value if name in features else ()
        return values[0] if values else None

    name = (value("name") or f"record-{number}".encode()).decode("utf-8", "replace")
    if value("image") is None:
        return FaceRecord(name, error="the record has no feature 'image'")
    return FaceRecord(name, value("image"), value("label"), value("blurred"))


def check_target(folder):
    """Raise FileExistsError unless ``folder`` is new or empty, and ValueError without TensorFlow."""
    _tensorflow()
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists already; shards need a new or empty folder.")


def write_shards(folder, names, data, label_data=None, shards=8):
    """Write faces-00000-of-00008.tfrecord and so on, atomically and in order.

    Args:
        folder: a new or empty folder.
        names, data, label_data: as ``containers.write_encoded``.
        shards: number of files, at most one per face.

    Raises:
        FileExistsError: the folder is not empty.
        ValueError: TensorFlow is not installed.
    """
    check_target(folder)
    shards = min(shards, len(names))
    label_data = label_data or [None] * len(names)
    # Only an empty folder is replaced.
    with atomic_folder(folder, overwrite=True) as temporary:
        for shard in range(shards):
            with shard_writer(temporary / f"faces-{shard:05d}-of-{shards:05d}{ENDING}") as write:
                for i in range(len(names) * shard // shards, len(names) * (shard + 1) // shards):
                    write(names[i], data[i], label=label_data[i])


@contextmanager
def shard_writer(path):
    """Write one shard atomically: yields a function ``write(name, image, label=None, blurred=None)`` of bytes.

    Records are written one at a time and not kept in memory.

    Raises:
        ValueError: TensorFlow is not installed.
    """
    tf = _tensorflow()

    def feature(content):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))

    with tf.io.TFRecordWriter(str(path)) as writer:

        def write(name, image, label=None, blurred=None):
            features = {"image": feature(image), "name": feature(name.encode("utf-8"))}
            features |= {key: feature(data) for key, data in (("label", label), ("blurred", blurred)) if data}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString(deterministic=True))

        yield write
