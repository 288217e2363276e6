"""Aligned face crops from folders, packs and shards, decoded once and kept as one array."""

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deblur_zoo.data.sources import list_entries
from deblur_zoo.face_classes import UNKNOWN


@dataclass
class FaceStore:
    """Crops of one size.

    Attributes:
        faces: uint8 (N, H, W, 3), RGB; memory-mapped if read from a single .npy pack.
        paths: where each crop came from; container/name for the contents of a container.
        skipped: (path, reason) of unusable files.
        labels: uint8 (N, H, W), or None if no face has labels; 255 (unknown) throughout for a face without labels.
        digests: sha256 of each crop's encoded bytes, or of its pixels if it came as pixels; empty: of the pixels.
    """

    faces: np.ndarray
    paths: list
    skipped: list = field(default_factory=list)
    labels: np.ndarray | None = None
    digests: list = field(default_factory=list)

    @property
    def fingerprint(self):
        """Identifies the data, independent of file names, order and packing.

        sha256 over the faces' sorted digests. Images packed unchanged have the same digest in a folder, an encoded pack
        and shards; as raw pixels or re-encoded they are different data. With labels, a face's digest is the sha256 over
        its own and that of its labels' pixels.
        """
        digests = self.digests or [hashlib.sha256(np.ascontiguousarray(face)).hexdigest() for face in self.faces]
        if self.labels is not None:
            labels = (hashlib.sha256(np.ascontiguousarray(label)).hexdigest() for label in self.labels)
            digests = [
                hashlib.sha256(f"{digest}\n{label}\n".encode()).hexdigest()
                for digest, label in zip(digests, labels, strict=True)
            ]
        return combine(digests)

    def __len__(self):
        return len(self.faces)


def load_faces(sources, minimum_size=128, limit=None, exclude=None, labels=None, progress=None):
    """Read every face of the sources.

    Args:
        sources: paths, each of a folder with square crops of one size as written by ``python -m deblur_zoo.faces``,
            or of a pack (.npz, .npy) or a folder or glob of TFRecord shards from ``python -m deblur_zoo.data``.
        minimum_size: minimum side of the faces, in pixels.
        limit: read at most this many faces.
        exclude: function of a path that returns True for faces to leave out.
        labels: folders of label maps, one for each source, None for a source without; see ``sources.list_entries``.
            None: use label maps beside the images and in the containers.
        progress: function called with 1 after each face.

    Returns:
        FaceStore. Files that are not images, or differ in size from the majority, are skipped with one warning that
        names the first few; all are in ``skipped``.

    Raises:
        FileNotFoundError: a source is missing, or holds no usable picture.
        ValueError: most pictures are not aligned crops, which are squares of one size; they are smaller than
            ``minimum_size``; a pack is damaged; an unsupported source.
    """
    entries, samples, skipped, _ = read_samples(sources, minimum_size, limit, exclude, labels, progress=progress)
    store = FaceStore(None, [entry.path for entry in entries], skipped)
    origins = [sample.origin for sample in samples]
    if all(origin and origin[0] is origins[0][0] for origin in origins):
        # Faces of one array in its order: use its own memory, mapped or not.
        indices = np.array([index for _, index in origins])
        whole = origins[0][0]
        store.faces = whole[: len(indices)] if np.array_equal(indices, np.arange(len(indices))) else whole[indices]
    else:
        store.digests = [sample.digest for sample in samples]
        store.faces = np.empty((len(samples), *samples[0].crop.shape), np.uint8)
    if any(sample.label is not None for sample in samples):
        store.labels = np.full((len(samples), *samples[0].crop.shape[:2]), UNKNOWN, np.uint8)
    for i, sample in enumerate(samples):
        if store.digests:
            store.faces[i] = sample.crop
        if sample.label is not None:
            store.labels[i] = sample.label
        # Free each crop once it is copied, so that faces are not in memory twice.
        samples[i] = None
    return store


def read_samples(sources, minimum_size=1, limit=None, exclude=None, labels=None, convert=None, progress=None):
    """The usable faces of the sources, one by one; arguments and errors as ``load_faces``.

    Args:
        convert: function of a Sample that returns what to keep of it, called in the reading thread. None keeps the
            sample.

    Returns:
        (entries, kept, skipped, size): Entry list and what is kept of each, in the order of the sources; (path, reason)
        of the others; (height, width) of the faces.
    """
    labels = list(labels or [])
    if labels and len(labels) != len(sources):
        raise ValueError(f"{len(sources)} sources of faces need as many folders of labels, got {len(labels)}.")
    labels = labels or [None] * len(sources)
    named = ", ".join(map(str, sources))
    entries = [entry for source, folder in zip(sources, labels, strict=True) for entry in list_entries(source, folder)]
    if exclude is not None:
        entries = [entry for entry in entries if not exclude(entry.path)]
    entries = entries[:limit]
    if not entries:
        raise FileNotFoundError(f"no images (PNG, JPEG, WebP) in {named}")

    def read(entry):
        try:
            sample = entry.load()
        except (ValueError, OSError) as error:
            return None, None, str(error)
        finally:
            if progress is not None:
                progress(1)
        return sample.crop.shape, convert(sample) if convert else sample, None

    # Threads help since the decoders release the interpreter lock.
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(read, entries))
    shapes = [shape for shape, _, _ in results if shape is not None]
    common = max(set(shapes), key=shapes.count) if shapes else None
    kept_entries, kept, skipped = [], [], []
    for entry, (shape, sample, reason) in zip(entries, results, strict=True):
        if shape is not None and shape != common:
            reason = f"its size {shape[1]}x{shape[0]} differs from the others' {common[1]}x{common[0]}"
        if reason:
            skipped.append((entry.path, reason))
        else:
            kept_entries.append(entry)
            kept.append(sample)
    if not kept:
        raise FileNotFoundError(f"none of the {len(entries)} files in {named} could be read")
    square = common[0] == common[1]
    if 2 * len(kept) < len(entries) or not square:
        others = skipped if square else [(kept_entries[0].path, f"its size is {common[1]}x{common[0]}"), *entries[1:]]
        name, reason = others[0]
        raise ValueError(
            f"{len(others)} of the {len(entries)} pictures in {named} are not aligned crops, which are squares of one "
            f"size ({name}: {reason}): align photos with `python -m deblur_zoo.faces --photos PHOTOS --out CROPS`"
        )
    warn_of_skipped(skipped, f"{len(entries)} pictures in {named}")
    if min(common[:2]) < minimum_size:
        raise ValueError(
            f"the faces are {common[1]}x{common[0]} pixels, but at least {minimum_size}x{minimum_size} are required: "
            f"align photos with `python -m deblur_zoo.faces --size {minimum_size}`"
        )
    return kept_entries, kept, skipped, common[:2]


def warn_of_skipped(skipped, whole, listed=3):
    """One warning about everything that could not be used; none where there is nothing.

    Args:
        skipped: list of (name, reason).
        whole: what it was part of, such as "60 pictures in crops".
        listed: how many are named.
    """
    if skipped:
        named = "; ".join(f"{name}: {reason}" for name, reason in skipped[:listed])
        more = f"; and {len(skipped) - listed} more" if len(skipped) > listed else ""
        logging.getLogger(__name__).warning("skipped %d of the %s (%s%s)", len(skipped), whole, named, more)


def fingerprint(paths):
    """sha256 over the sorted sha256 digests of files: identifies the data, independent of file names and order.

    Args:
        paths: the files.

    Returns:
        64 hexadecimal digits.
    """
    return combine(hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths)


def combine(digests):
    """sha256 over sorted digests, one per line; 64 hexadecimal digits."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in sorted(digests)).encode()).hexdigest()


def central_crop(faces, size=128):
    """The middle of square crops: the canonical crop without its margin.

    Args:
        faces: (N, S, S, 3) with S - ``size`` even and >= 0.

    Returns:
        (N, size, size, 3).

    Raises:
        ValueError: crops that are not square or too small, or whose margin is not a whole number of pixels.
    """
    height, width = faces.shape[1:3]
    if height != width or height < size or (height - size) % 2:
        raise ValueError(
            f"the faces are {width}x{height} pixels; accepted: square canonical crops of {size}x{size}, or larger "
            f"with an equal margin on every side (160x160 for a margin of 16)"
        )
    margin = (height - size) // 2
    return faces[:, margin : margin + size, margin : margin + size]
