"""Shards of blurred and sharp image pairs, such as ``python -m trainers.datasets.video_pairs`` makes from videos."""

import glob
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deblur_zoo.data import tfrecords
from deblur_zoo.data.face_store import central_crop, combine, warn_of_skipped
from deblur_zoo.files import pictures
from deblur_zoo.files.atomic_file import atomic_path


@dataclass
class PairStore:
    """Pairs of one size, decoded.

    Attributes:
        blurred, sharp: uint8 (P, H, W, 3), RGB, canonical crops.
        names: name of each pair.
        skipped: (name, reason) of unusable records.
        digests: sha256 over the digests of each pair's blurred and sharp encoded bytes.
    """

    blurred: np.ndarray
    sharp: np.ndarray
    names: list
    skipped: list = field(default_factory=list)
    digests: list = field(default_factory=list)

    @property
    def fingerprint(self):
        """sha256 over the sorted digests: identifies the data, independent of order and shard names."""
        return combine(self.digests)

    def __len__(self):
        return len(self.sharp)


@contextmanager
def pair_writer(path):
    """Write a shard of pairs atomically, without keeping them in memory.

    Yields a function ``write(name, blurred, sharp)`` of uint8 (H, W, 3) images, which are stored losslessly (WebP).

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: TensorFlow is not installed.
    """
    with atomic_path(path) as temporary, tfrecords.shard_writer(temporary) as write_record:

        def write(name, blurred, sharp):
            write_record(name, pictures.encode(sharp, "webp"), blurred=pictures.encode(blurred, "webp"))

        yield write


def list_pair_shards(source):
    """The shards in a folder (recursively), a single shard, or the shards that match a glob; sorted.

    Raises:
        FileNotFoundError: there are none.
    """
    path = Path(source)
    if path.is_dir():
        shards = sorted(p for p in path.rglob(f"*{tfrecords.ENDING}*") if p.is_file() and tfrecords.is_shard(p))
    elif path.is_file():
        shards = [path]
    else:
        shards = sorted(map(Path, glob.glob(str(source)))) if glob.has_magic(str(source)) else []
    if not shards:
        raise FileNotFoundError(
            f"There are no shards of pairs (*{tfrecords.ENDING}) at {source}; "
            "`python -m trainers.datasets.video_pairs` makes them from videos."
        )
    return shards


def load_pairs(sources, size=None, progress=None):
    """Read every pair of the sources into memory.

    Args:
        sources: paths of folders, shards or globs of shards.
        size: side in pixels to crop pairs to, which trims their margin. None: as they are.
        progress: function called with 1 after each pair.

    Returns:
        PairStore. Records that are not pairs, or differ in size from the majority, are skipped with one warning that
        names the first few.

    Raises:
        FileNotFoundError: a source has no shards, or no usable records.
        ValueError: pairs smaller than ``size`` or without an even margin around it; TensorFlow is not installed.
    """
    shards = [shard for source in sources for shard in list_pair_shards(source)]
    named = ", ".join(map(str, sources))
    names, decoded, digests, skipped = [], [], [], []
    # Threads help since the decoder releases the interpreter lock. One shard at a time, to free its encoded bytes.
    with ThreadPoolExecutor() as pool:
        for shard in shards:
            records = tfrecords.read_shard(shard)
            for record, (pair, digest, reason) in zip(records, pool.map(_decode, records), strict=True):
                name = f"{shard}: {record.name}"
                if reason is None:
                    names.append(name)
                    decoded.append(pair)
                    digests.append(digest)
                else:
                    skipped.append((name, reason))
                if progress is not None:
                    progress(1)
    shapes = [pair.shape[1:] for pair in decoded]
    common = max(set(shapes), key=shapes.count) if shapes else None
    usable = [i for i, shape in enumerate(shapes) if shape == common]
    for i in set(range(len(shapes))) - set(usable):
        skipped.append((names[i], f"its size {shapes[i][1]}x{shapes[i][0]} differs from the others'"))
    warn_of_skipped(skipped, f"{len(skipped) + len(usable)} pairs in {named}")
    if not usable:
        raise FileNotFoundError(f"none of the {len(skipped)} records of {named} is a usable pair")
    store = PairStore(
        np.empty((len(usable), *common), np.uint8), np.empty((len(usable), *common), np.uint8),
        [names[i] for i in usable], skipped, [digests[i] for i in usable],
    )  # fmt: skip
    for k, i in enumerate(usable):
        store.blurred[k], store.sharp[k] = decoded[i]
        # Freed once copied.
        decoded[i] = None
    if size is not None:
        store.blurred, store.sharp = _cropped(store, size)
    return store


def _cropped(store, size):
    height, width = store.sharp.shape[1:3]
    if (height, width) == (size, size):
        return store.blurred, store.sharp
    if height != width or height < size or (height - size) % 2:
        raise ValueError(
            f"the pairs are {width}x{height} pixels, but the faces {size}x{size}: make pairs with the same --size and "
            "at least the same --margin"
        )
    return central_crop(store.blurred, size), central_crop(store.sharp, size)


def _decode(record):
    """(uint8 (2, H, W, 3) of blurred and sharp, digest, None), or (None, None, reason)."""
    if record.error:
        return None, None, record.error
    if record.blurred_data is None:
        return None, None, "the record has no feature 'blurred'"
    parts = record.blurred_data, record.data
    try:
        blurred, sharp = (pictures.decode(data) for data in parts)
    except ValueError as error:
        return None, None, str(error)
    if blurred.shape != sharp.shape or sharp.ndim != 3 or sharp.shape[2] != 3:
        return None, None, f"its images must have one shape (H, W, 3), got {blurred.shape} and {sharp.shape}"
    digests = "".join(f"{hashlib.sha256(data).hexdigest()}\n" for data in parts)
    return np.stack([blurred, sharp]), hashlib.sha256(digests.encode()).hexdigest(), None
