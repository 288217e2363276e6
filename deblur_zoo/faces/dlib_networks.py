"""68 landmarks and 128-number identity embeddings by dlib, an optional package with weights of its own.

The weights come with the package ``face_recognition_models``, which is not imported: it needs ``pkg_resources``.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from deblur_zoo.annotations import Array
from deblur_zoo.faces.alignment import CROP_SIZE

# Left, top, right, bottom of dlib's box in canonical crops, as shares of the side: medians over 80 faces.
USUAL_BOX = (0.125, 0.133, 0.828, 0.828)


class DlibNetworks:
    """dlib's networks behind arrays of canonical crops.

    Raises:
        ImportError: dlib or face_recognition_models is not installed.
    """

    def __init__(self) -> None:
        found = importlib.util.find_spec("face_recognition_models")
        if importlib.util.find_spec("dlib") is None or found is None or found.origin is None:
            raise ImportError("dlib's networks are not installed: pip install 'deblur-zoo[dlib]'")
        folder = Path(found.origin).parent / "models"
        dlib: Any = importlib.import_module("dlib")
        self._dlib = dlib
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(str(folder / "shape_predictor_68_face_landmarks.dat"))
        self._identity = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))

    def box(self, image: Array) -> Array:
        """dlib's box of the face in a crop.

        Args:
            image: uint8 (H, W, 3), a sharp canonical crop of 128x128, or its middle.

        Returns:
            float64 (4,): left, top, right, bottom in pixels; the usual box if the detector finds no face.
        """
        found = max(self._detector(np.ascontiguousarray(image), 1), key=lambda box: box.area(), default=None)
        if found is None:
            return _usual_box(image)
        return np.array([found.left(), found.top(), found.right(), found.bottom()], np.float64)

    def points(self, image: Array, box: Array) -> Array:
        """The 68 landmarks within a box.

        Args:
            image: uint8 (H, W, 3).
            box: as from ``box``.

        Returns:
            float64 (68, 2) of (x, y) in pixels.
        """
        found = self._shape(image, box)
        return np.array([(point.x, point.y) for point in found.parts()], np.float64)

    def embeddings(self, images: Array) -> Array:
        """Identity embeddings of canonical crops.

        Args:
            images: uint8 (N, H, W, 3), of 128x128, or the middle of such crops.

        Returns:
            float32 (N, 128).
        """
        found = []
        for image in images:
            shape = self._shape(image, _usual_box(image))
            found.append(self._identity.compute_face_descriptor(np.ascontiguousarray(image), shape))
        return np.array(found, np.float32)

    def _shape(self, image: Array, box: Array) -> Any:
        rectangle = self._dlib.rectangle(*(int(round(value)) for value in box))
        return self._landmarks(np.ascontiguousarray(image), rectangle)


def _usual_box(image: Array) -> Array:
    height, width = image.shape[:2]
    left, top = (CROP_SIZE - width) / 2, (CROP_SIZE - height) / 2
    return np.array(USUAL_BOX) * CROP_SIZE - [left, top, left, top]
