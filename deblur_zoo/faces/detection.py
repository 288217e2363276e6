"""Detect faces and five points in each.

The detector is MTCNN (Zhang et al. 2016, Joint Face Detection and Alignment using Multitask Cascaded Convolutional
Networks) as the ``mtcnn`` package implements it, with its own weights. For some faces that are
rotated far it returns upright points; ``faces.orientation`` corrects them.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from deblur_zoo import execution
from deblur_zoo.annotations import Array
from deblur_zoo.faces import orientation
from deblur_zoo.files import forks

# The smallest face that MTCNN looks for, in pixels of its input. Its pyramid breaks with other values: a level can be
# smaller than the network's 12 pixels, and MTCNN reports the error as "no face".
SMALLEST_FACE = 20
# Sides in pixels of what MTCNN's first network sees are multiples of this.
_SIDES_STEP = 64


@dataclass(frozen=True)
class Face:
    """One face found in a photo, in pixels of the photo; pixel centres have integer coordinates.

    Attributes:
        box: float64 (4,): left, top, right, bottom. May reach beyond the photo.
        points: float64 (5, 2) of (x, y) in the order of ``deblur_zoo.faces.alignment.POINT_NAMES``.
        confidence: the detector's, in [0, 1]; reduced if the face's orientation is ambiguous.
    """

    box: np.ndarray
    points: np.ndarray
    confidence: float

    @property
    def area(self) -> float:
        return float(np.prod(np.maximum(self.box[2:] - self.box[:2], 0)))


class Detector:
    """MTCNN on downscaled photos; the networks are loaded on first use.

    Args:
        longest_sides: photos whose longer side exceeds the first number are downscaled to it, which bounds the time.
            If no face is found, the next number is tried. Faces under 20 pixels in the downscaled photo are missed.
            (320, 1024) suits portraits, (1280,) groups.
        minimum_confidence: faces below are discarded. MTCNN itself reports none below 0.8.

    Raises:
        ValueError: a side is under 64.
    """

    def __init__(self, longest_sides: Sequence[int] = (320, 1024), minimum_confidence: float = 0.9) -> None:
        if not longest_sides or min(longest_sides) < 64:
            raise ValueError(f"longest_sides must be one or more numbers of at least 64, got {longest_sides}")
        self.longest_sides = tuple(sorted(longest_sides))
        self.minimum_confidence = minimum_confidence
        self._network: Any = None

    def __call__(self, image: ArrayLike) -> list[Face]:
        """Faces in a photo, the largest first.

        Args:
            image: uint8 (H, W), (H, W, 3) RGB or (H, W, 4) RGBA.

        Returns:
            list of Face; empty if there is none.

        Raises:
            ValueError: not such an array.
            RuntimeError: Keras runs on another backend than TensorFlow.
        """
        photo = as_rgb(image)
        longer = max(photo.shape[:2])
        for side in self.longest_sides:
            faces = self._find(photo, min(1.0, side / longer))
            if faces or side >= longer:
                break
        return sorted(faces, key=lambda face: -face.area)

    def _find(self, image: Array, scale: float) -> list[Face]:
        forks.guard()
        if self._network is None:
            self._network = _mtcnn()
        height, width = image.shape[:2]
        small = image
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        factors = np.array([small.shape[1] / width, small.shape[0] / height])
        # The pyramid of an image that is hardly larger than the smallest face is empty.
        missing = np.maximum(2 * SMALLEST_FACE - np.array(small.shape[:2]), 0)
        if missing.any():
            small = cv2.copyMakeBorder(small, 0, int(missing[0]), 0, int(missing[1]), cv2.BORDER_REPLICATE)
        # The "json" output would round the points to whole pixels.
        rows = self._network.detect_faces(small, fit_to_image=False, box_format="xyxy", output_type="numpy")
        faces = []
        for row in np.asarray(rows, np.float64).reshape(-1, 16):
            if row[5] >= self.minimum_confidence:
                box = (row[1:5].reshape(2, 2) + 0.5) / factors - 0.5
                points = (row[6:16].reshape(2, 5).T + 0.5) / factors - 0.5
                points, certainty = orientation.checked(image, box.reshape(4), points, self._last_network)
                faces.append(Face(box.reshape(4), points, float(row[5]) * certainty))
        return [face for face in faces if face.confidence >= self.minimum_confidence]

    def _last_network(self, patches: Array) -> tuple[Array, Array]:
        """MTCNN's last network: (scores, points as ``orientation.checked`` wants them) of 48x48 patches."""
        _, points, scores = self._network.get_stage(stage_id=3).model((patches.astype(np.float32) - 127.5) / 128)
        points = np.asarray(points).reshape(-1, 2, 5).transpose(0, 2, 1)
        return np.asarray(scores)[:, 1], points * orientation.SIDE - 0.5


def _mtcnn() -> Any:
    import keras

    # MTCNN mixes Keras with TensorFlow, whatever the backend.
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"face detection needs Keras on TensorFlow, and KERAS_BACKEND is {keras.backend.backend()}: run it with "
            "KERAS_BACKEND=tensorflow; the crops work with every backend"
        )
    from mtcnn import MTCNN

    from deblur_zoo.layers.data_format import check_data_format

    check_data_format()
    network = MTCNN()
    for stage in network.stages:
        stage._model = _compiled(stage.model, step=_SIDES_STEP if stage.id == 1 else 1)
    return network


def _compiled(network: Any, step: int) -> Callable[[ArrayLike], list[Any]]:
    """One of MTCNN's networks, for pictures padded to multiples of ``step``.

    Layer by layer, as the package runs them, most of the time is Keras' own. And TensorFlow keeps code for each of the
    last thousand shapes that layers have seen: the pyramids of photos would fill that memory, as each has other sides.
    """
    from keras import ops

    run = execution.compiled(network, network)

    def padded(images: ArrayLike) -> list[Any]:
        images = np.asarray(images)
        height, width = images.shape[1:3]
        sides = (0, -height % step), (0, -width % step)
        results = run(np.pad(images, ((0, 0), *sides, (0, 0)), mode="edge"))
        if step > 1:
            # A kernel of 3 without padding, pooling by 2, and twice more such a kernel.
            results = [result[:, : (height - 1) // 2 - 4, : (width - 1) // 2 - 4] for result in results]
        # The package calls their ``numpy``.
        return [ops.convert_to_tensor(result) for result in results]

    return padded


@functools.lru_cache(maxsize=4)
def _detector(longest_sides: tuple[int, ...], minimum_confidence: float) -> Detector:
    return Detector(longest_sides, minimum_confidence)


def detect(image: ArrayLike, longest_sides: Sequence[int] = (1280,), minimum_confidence: float = 0.9) -> list[Face]:
    """Faces in a photo, the largest first; arguments and errors as for ``Detector``, which is kept for later calls.

    Returns:
        list of Face; empty if there is none.
    """
    return _detector(tuple(longest_sides), minimum_confidence)(image)


def as_rgb(image: ArrayLike) -> Array:
    """uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) to (H, W, 3); an alpha channel is dropped."""
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[:, :, None]
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4) or image.size == 0:
        raise ValueError(
            f"a photo must be a uint8 array (H, W), (H, W, 3) or (H, W, 4), got {image.dtype} of shape {image.shape}"
        )
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image[:, :, :3])
