"""Aligned face crops from folders, decoded once and kept in memory as one array."""

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deblur_zoo import images


@dataclass
class FaceStore:
    """Crops of one size.

    Attributes:
        faces: uint8 (N, S, S, 3), RGB.
        paths: where each crop came from.
        skipped: (path, reason) of the files that could not be used.
        fingerprint: names the files whatever they are called, see ``fingerprint``.
    """

    faces: np.ndarray
    paths: list
    skipped: list = field(default_factory=list)

    @property
    def fingerprint(self):
        return fingerprint(self.paths)

    def __len__(self):
        return len(self.faces)


def load_faces(folders, minimum_size=128, limit=None, exclude=None):
    """Read every picture in the folders.

    Args:
        folders: paths of folders with square crops of one size, as ``python -m deblur_zoo.faces`` writes them.
        minimum_size: the smallest side accepted, in pixels.
        limit: read at most so many files.
        exclude: function of a path; a picture for which it is true is left out.

    Returns:
        FaceStore. Files that are no pictures, or of another size than most, are skipped with a warning that
        names them, and counted in ``skipped``.

    Raises:
        FileNotFoundError: a folder is missing, or holds no usable picture.
        ValueError: the crops are smaller than ``minimum_size``.
    """
    paths = [path for folder in folders for path in images.list_pictures(folder)]
    if exclude is not None:
        paths = [path for path in paths if not exclude(path)]
    paths = paths[:limit]
    if not paths:
        raise FileNotFoundError(f"no pictures (PNG, JPEG, WebP) in {', '.join(map(str, folders))}")
    # Threads: the decoders release the interpreter lock.
    with ThreadPoolExecutor() as pool:
        decoded = list(pool.map(_read, paths))
    shapes = [crop.shape for crop, _ in decoded if crop is not None]
    common = max(set(shapes), key=shapes.count) if shapes else None
    faces, kept, skipped = [], [], []
    for path, (crop, reason) in zip(paths, decoded, strict=True):
        if crop is not None and crop.shape != common:
            reason = f"its size {crop.shape[1]}x{crop.shape[0]} differs from the others' {common[1]}x{common[0]}"
        if reason:
            logging.getLogger(__name__).warning("skipped %s: %s", path, reason)
            skipped.append((path, reason))
        else:
            faces.append(crop)
            kept.append(path)
    if not faces:
        raise FileNotFoundError(f"none of the {len(paths)} files in {', '.join(map(str, folders))} could be read")
    if min(common[:2]) < minimum_size:
        raise ValueError(
            f"the faces are {common[1]}x{common[0]} pixels, at least {minimum_size}x{minimum_size} are needed: "
            f"align photos with `python -m deblur_zoo.faces --size {minimum_size}`"
        )
    return FaceStore(np.stack(faces), kept, skipped)


def _read(path):
    try:
        crop = images.read(path)
    except (ValueError, OSError) as error:
        return None, str(error)
    if crop.ndim == 2:
        crop = np.repeat(crop[:, :, None], 3, axis=2)
    return np.ascontiguousarray(crop[:, :, :3]), None


def fingerprint(paths):
    """sha256 over the sorted sha256 digests of files: names the data, whatever the files' names and order are.

    Args:
        paths: the files.

    Returns:
        64 hexadecimal digits.
    """
    digests = sorted(hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths)
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def central_crop(faces, size=128):
    """The middle of square crops: the canonical crop without its margin.

    Args:
        faces: (N, S, S, 3) with S - ``size`` even and not negative.

    Returns:
        (N, size, size, 3).

    Raises:
        ValueError: crops that are not square, too small, or have a margin that is no whole number of pixels.
    """
    height, width = faces.shape[1:3]
    if height != width or height < size or (height - size) % 2:
        raise ValueError(
            f"the faces are {width}x{height} pixels; square canonical crops of {size}x{size} pixels, or with an equal "
            f"margin all around (160x160 for a margin of 16), are accepted"
        )
    margin = (height - size) // 2
    return faces[:, margin : margin + size, margin : margin + size]
