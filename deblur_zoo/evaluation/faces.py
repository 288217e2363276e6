"""Read the faces of a folder for a measurement."""

from pathlib import Path

from deblur_zoo.data.face_store import central_crop, load_faces
from deblur_zoo.faces.alignment import CROP_SIZE


class Faces:
    """Canonical crops of a folder, cut to the middle 128x128.

    Args:
        folder: of aligned crops, in sub-folders by person or flat.
        limit: use only the first so many, sorted by name.
        labels: folder of label maps with the faces' names, or None.

    Attributes:
        faces: uint8 (N, 128, 128, 3), RGB.
        labels: uint8 (N, 128, 128), or None.
        stems: (N,) str, path of each face in its folder, without its ending.
        people: (N,) str, the sub-folder of each face, or its name in a flat folder.
        names: (N,) str, a name for each face that can be a file's.
        skipped: number of files skipped because they are not images or differ in size from the majority.
        data: the folder's name, the fingerprint and the number of faces.

    Raises:
        FileNotFoundError: as ``load_faces``.
        ValueError: as ``load_faces`` and ``central_crop``, or two faces of the same name.
    """

    def __init__(self, folder, limit=None, labels=None):
        store = load_faces([folder], minimum_size=CROP_SIZE, limit=limit, labels=labels and [labels])
        self.faces = central_crop(store.faces, CROP_SIZE)
        self.labels = None if store.labels is None else central_crop(store.labels, CROP_SIZE)
        self.skipped = len(store.skipped)
        self.data = {"folder": Path(folder).resolve().name, "fingerprint": store.fingerprint, "faces": len(store)}
        paths = [Path(path) for path in store.paths]
        inside = [path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name) for path in paths]
        self.stems = [path.with_suffix("").as_posix() for path in inside]
        self.people = [path.parts[0] if len(path.parts) > 1 else path.stem for path in inside]
        self.names = [name_of(stem) for stem in self.stems]
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ValueError(f"two faces in {folder} are called {twice}: rename one")


def name_of(stem):
    """A name for a face that can be a file's.

    Args:
        stem: path in its folder, without its ending.
    """
    return stem.replace("/", "_")


def clip_of(name):
    """The clip of a pair.

    Args:
        name: as in ``PairStore``: "FOLDER/CLIP.mp4.tfrecord: RECORD".
    """
    return Path(name.partition(": ")[0]).name.partition(".")[0]
