"""Find the faces of a photo that is turned or blurred."""

import functools

import numpy as np

from deblur_zoo.faces.detection import Face, detect

# Two boxes that overlap by this share of their union are one face.
_SAME_FACE = 0.4


def find_faces(pixels, detector=None, restored=None, minimum_confidence=0.9):
    """Faces in a photo, the largest first.

    Where the upright photo shows none, its three turns are tried. Where there is still none, or one that the detector
    is not sure of, a restored copy is looked at, since strong blur hides faces.

    Args:
        pixels: uint8 (H, W, 3).
        detector: ``Detector`` that gives uncertain faces as well; ``detect``, which keeps one, unless given.
        restored: function without arguments to a restored copy of the photo, uint8 (h, w, 3) of any size, or None;
            called for the second look. There is none without it.
        minimum_confidence: faces below are uncertain and left out.

    Returns:
        list of ``Face`` in pixels of the photo; empty if there is none.
    """
    detector = detector or functools.partial(detect, minimum_confidence=0.0)
    first = detector(pixels)
    faces = _certain(first, minimum_confidence)
    missed = [face for face in first if all(overlap(face.box, other.box) < _SAME_FACE for other in faces)]
    if not faces:
        faces = _in_turned(pixels, (1, 2, 3), detector, minimum_confidence)
        missed = []
    if restored is not None and (missed or not faces):
        copy = restored()
        if copy is not None:
            factors = np.array([copy.shape[1] / pixels.shape[1], copy.shape[0] / pixels.shape[0]])
            turns = (0,) if faces else (0, 1, 2, 3)
            again = _in_turned(copy, turns, detector, minimum_confidence)
            faces = faces + [_enlarged(face, factors) for face in again]
    return without_duplicates(faces)


def _certain(faces, minimum_confidence):
    return [face for face in faces if face.confidence >= minimum_confidence]


def _in_turned(pixels, quarter_turns, detector, minimum_confidence):
    """The certain faces of the first of some turns that shows any, in pixels of the photo."""
    for turns in quarter_turns:
        turned = np.ascontiguousarray(np.rot90(pixels, turns))
        faces = _certain(detector(turned), minimum_confidence)
        if faces:
            return [_turned_back(face, turns, pixels.shape) for face in faces]
    return []


def without_duplicates(faces):
    """The faces in their order of size, less those that overlap a more certain one."""
    kept = []
    for face in sorted(faces, key=lambda face: -face.confidence):
        if all(overlap(face.box, other.box) < _SAME_FACE for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -face.area)


def overlap(one, other):
    """Intersection over union of two boxes (left, top, right, bottom)."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = np.prod(np.maximum(high - low, 0))
    areas = [np.prod(np.maximum(box[2:] - box[:2], 0)) for box in (one, other)]
    return float(shared / max(sum(areas) - shared, 1e-9))


def _enlarged(face, factors):
    """A face found in a copy shrunk by ``factors`` (x, y), in the pixels of the photo."""
    box = (face.box.reshape(2, 2) + 0.5) / factors - 0.5
    return Face(box.reshape(4), (face.points + 0.5) / factors - 0.5, face.confidence)


def _turned_back(face, quarter_turns, shape):
    """A face found in ``np.rot90(photo, quarter_turns)``, in the pixels of the photo of ``shape``."""
    height, width = shape[:2]

    def back(points):
        x, y = np.asarray(points, np.float64).T
        for turn in range(quarter_turns):
            # rot90 moves the photo's pixel (x, y) to (y, W - 1 - x); the sides swap with every turn.
            last = (width if (quarter_turns - turn) % 2 else height) - 1
            x, y = last - y, x
        return np.stack([x, y], axis=-1)

    corners = back(face.box.reshape(2, 2))
    return Face(np.concatenate([corners.min(axis=0), corners.max(axis=0)]), back(face.points), face.confidence)
