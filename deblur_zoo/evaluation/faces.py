"""The faces of a folder that a measurement is made on."""

from pathlib import Path

from deblur_zoo.data.face_store import central_crop, load_faces
from deblur_zoo.faces.alignment import CROP_SIZE


class Faces:
    """Canonical crops of a folder, cut to the middle 128x128.

    Args:
        folder: of aligned crops.
        limit: the first so many only, in the order of their names.

    Attributes:
        paths: the files.
        faces: uint8 (N, 128, 128, 3), RGB.
        skipped: how many files were left out, being no pictures or of another size than most.
        data: folder's name, fingerprint and number, for results.json.

    Raises:
        FileNotFoundError, ValueError: as ``load_faces`` and ``central_crop``.
    """

    def __init__(self, folder, limit=None):
        store = load_faces([folder], minimum_size=CROP_SIZE, limit=limit)
        self.paths = store.paths
        self.faces = central_crop(store.faces, CROP_SIZE)
        self.skipped = len(store.skipped)
        self.data = {
            "folder": Path(folder).resolve().name,
            "fingerprint": store.fingerprint,
            "faces": len(store),
        }
