"""Protocols whose blur is given: frames averaged from videos (Chrysos et al. 2019), and folders of pairs."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deblur_zoo.data.face_store import combine
from deblur_zoo.data.pair_store import load_pairs
from deblur_zoo.evaluation.faces import clip_of, name_of
from deblur_zoo.evaluation.protocol import Batch, KernelSizes
from deblur_zoo.faces.alignment import CROP_SIZE
from deblur_zoo.files import pictures

BLURRED, SHARP = "blurred", "sharp"
SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Pairs:
    """Blurred and sharp pictures of one size.

    Attributes:
        blurred, sharp: uint8 (N, H, W, 3).
        names: (N,) str, names that can be files'.
        people: (N,) str, who is in each picture: the clip, or the sub-folder.
        fingerprint: identifies the pictures, independent of their order.
    """

    blurred: np.ndarray
    sharp: np.ndarray
    names: list
    people: list
    fingerprint: str


def read_pairs(source):
    """Pairs of a folder with the sub-folders ``blurred`` and ``sharp``, or of shards.

    Args:
        source: such a folder, whose pictures pair up by name without ending; or a folder, shard or glob of shards as
            ``python -m trainers.datasets.video_pairs`` writes them, of 128x128 pixels and any margin.

    Returns:
        Pairs; of shards the middle 128x128, of a folder the whole pictures.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: a picture without its partner, pictures of different sizes, or with transparency.
    """
    folders = {name: Path(source) / name for name in (BLURRED, SHARP)}
    if not all(folder.is_dir() for folder in folders.values()):
        store = load_pairs([source], CROP_SIZE)
        clips = [clip_of(name) for name in store.names]
        records = [name.partition(": ")[2] for name in store.names]
        names = [name_of(f"{clip}_{record}") for clip, record in zip(clips, records, strict=True)]
        return Pairs(store.blurred, store.sharp, names, clips, store.fingerprint)
    files = {name: by_stem(folder) for name, folder in folders.items()}
    alone = sorted(files[BLURRED].keys() ^ files[SHARP].keys())
    if alone or not files[SHARP]:
        what = f"{alone[0]} is in only one of them" if alone else "they are empty"
        raise ValueError(f"the folders {BLURRED} and {SHARP} in {source} must hold pictures of the same names: {what}")
    names = sorted(files[SHARP])
    found = {name: read_equal([paths[stem] for stem in names]) for name, paths in files.items()}
    if found[BLURRED].shape != found[SHARP].shape:
        shapes = " and ".join(f"{array.shape[2]}x{array.shape[1]}" for array in found.values())
        raise ValueError(f"the blurred and sharp pictures in {source} differ in size: {shapes}")
    digests = [hashlib.sha256(pair.tobytes()).hexdigest() for pair in map(np.stack, zip(*found.values(), strict=True))]
    people = [stem.partition("/")[0] for stem in names]
    return Pairs(found[BLURRED], found[SHARP], [name_of(stem) for stem in names], people, combine(digests))


def by_stem(folder):
    """The pictures of a folder by their path within it, without its ending.

    Raises:
        ValueError: two pictures differ only in their ending.
    """
    found = {}
    for path in pictures.list_pictures(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise ValueError(f"{path} and {found[stem]} have the same name but for their ending: remove one")
        found[stem] = path
    return found


def read_rgb(path):
    """An RGB picture, uint8 (H, W, 3); a grey one is repeated.

    Raises:
        ValueError: it has transparency, or as ``pictures.read``.
    """
    image = pictures.read(path)
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=-1)
    if image.shape[-1] != 3:
        raise ValueError(f"{path} has transparency; RGB pictures are accepted")
    return image


def read_equal(paths):
    """RGB pictures of one size, uint8 (N, H, W, 3); a grey one is repeated.

    Raises:
        ValueError: pictures of different sizes, or with transparency.
    """
    found = []
    for path in paths:
        image = read_rgb(path)
        if found and image.shape != found[0].shape:
            sizes = " and ".join(f"{shape[1]}x{shape[0]}" for shape in (found[0].shape, image.shape))
            raise ValueError(f"all pictures must have one size, but {path} differs: {sizes}")
        found.append(image)
    return np.stack(found)


class GivenPairs:
    """Pairs that are blurred already, in one or more rows of the tables.

    Args:
        name: of the protocol.
        rows: ``Pairs`` by the name of their row.
        synthetic: add a row in which the sharp pictures of all rows are blurred by the test kernels instead, each by
            one kernel of every size, with noise of 0.01.

    Raises:
        ValueError: no rows, pictures of different sizes, or two of the same name in a row.
    """

    bank = None

    def __init__(self, name, rows, synthetic=False):
        if not rows:
            raise ValueError(f"the protocol {name} needs pairs; see docs/evaluation.md")
        shapes = {pairs.sharp.shape[1:3] for pairs in rows.values()}
        if len(shapes) > 1:
            raise ValueError(f"the pairs of all rows must have one size, got {sorted(shapes)}")
        for row, pairs in rows.items():
            twice = {name for name in pairs.names if pairs.names.count(name) > 1}
            if twice:
                raise ValueError(f"the row {row} has two pairs called {min(twice)}")
        self.name, self._rows = name, dict(rows)
        self.groups = [*rows, *([SYNTHETIC] if synthetic else [])]
        self._sharp = np.concatenate([pairs.sharp for pairs in rows.values()])
        self._starts = dict(zip(rows, np.cumsum([0, *(len(pairs.sharp) for pairs in rows.values())]), strict=False))
        self._kernels = KernelSizes()

    @classmethod
    def of_sources(cls, name, sources, synthetic=False):
        """From the sources of ``read_pairs`` by the name of their row."""
        return cls(name, {row: read_pairs(source) for row, source in sources.items()}, synthetic)

    @property
    def sharp(self):
        """All sharp pictures, uint8 (N, H, W, 3); the index of a batch's faces leads here."""
        return self._sharp

    @property
    def names(self):
        """Name of each sharp picture: the file's, after that of its row if there are several."""
        several = len(self._rows) > 1
        return [f"{row}_{name}" if several else name for row, pairs in self._rows.items() for name in pairs.names]

    @property
    def people(self):
        """Who is in each sharp picture."""
        return [person for pairs in self._rows.values() for person in pairs.people]

    def count(self, face_count=None):
        """Number of pairs."""
        synthetic = len(self._sharp) * len(self._kernels.sizes) if SYNTHETIC in self.groups else 0
        return len(self._sharp) + synthetic

    def batches(self, faces=None, batch_size=16):
        """As ``KernelSizes.batches``; ``faces`` is not used."""
        for row, pairs in self._rows.items():
            for start in range(0, len(pairs.sharp), batch_size):
                part = slice(start, start + batch_size)
                indices = self._starts[row] + np.arange(len(pairs.sharp))[part]
                yield Batch(pairs.sharp[part], pairs.blurred[part], indices, row)
        if SYNTHETIC in self.groups:
            for batch in self._kernels.batches(self._sharp, batch_size):
                yield Batch(batch.sharp, batch.blurred, batch.faces, SYNTHETIC, batch.kernels)

    def describe(self):
        """The protocol as a dictionary."""
        return {
            "name": self.name,
            "rows": {
                row: {"pairs": len(pairs.sharp), "fingerprint": pairs.fingerprint} for row, pairs in self._rows.items()
            },
            **({SYNTHETIC: self._kernels.describe()} if SYNTHETIC in self.groups else {}),
        }
