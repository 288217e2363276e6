"""Read the faces of a folder for a measurement."""

from pathlib import Path

from deblur_zoo.data.face_store import central_crop, load_faces
from deblur_zoo.faces.alignment import CROP_SIZE


class Faces:
    """Canonical crops of a folder, cut to the middle 128x128.

    Args:
        folder: of aligned crops.
        limit: use only the first so many, sorted by name.
        labels: folder of label maps with the faces' names, or None.

    Attributes:
        paths: the files.
        faces: uint8 (N, 128, 128, 3), RGB.
        labels: uint8 (N, 128, 128), or None.
        skipped: number of files skipped because they are not images or differ in size from the majority.
        data: the folder's name, the fingerprint and the number of faces, for results.json.

    Raises:
        FileNotFoundError, ValueError: as ``load_faces`` and ``central_crop``.
    """

    def __init__(self, folder, limit=None, labels=None):
        store = load_faces([folder], minimum_size=CROP_SIZE, limit=limit, labels=labels and [labels])
        self.paths = store.paths
        self.faces = central_crop(store.faces, CROP_SIZE)
        self.labels = None if store.labels is None else central_crop(store.labels, CROP_SIZE)
        self.skipped = len(store.skipped)
        self.data = {
            "folder": Path(folder).resolve().name,
            "fingerprint": store.fingerprint,
            "faces": len(store),
        }
