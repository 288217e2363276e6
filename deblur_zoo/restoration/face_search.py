"""Find the faces of a photo that is turned or blurred."""

import numpy as np

from deblur_zoo.faces.detection import Face, detect

# Two boxes that overlap by this share of their union are one face.
_SAME_FACE = 0.4


def find_faces(pixels, detector=None, restored=None):
    """Faces in a photo, the largest first.

    Where the upright photo shows none, its three turns are tried, then a restored copy: strong blur hides faces.

    Args:
        pixels: uint8 (H, W, 3).
        detector: ``Detector``; ``detect``, which keeps one, unless given.
        restored: function without arguments to a restored copy of the photo, uint8 (h, w, 3) of any size, or None;
            called for the second look. There is none without it.

    Returns:
        list of ``Face`` in pixels of the photo; empty if there is none.
    """
    detector = detector or detect
    for quarter_turns in range(4):
        turned = np.ascontiguousarray(np.rot90(pixels, quarter_turns))
        faces = [_turned_back(face, quarter_turns, pixels.shape) for face in detector(turned)]
        if faces:
            return without_duplicates(faces)
    copy = None if restored is None else restored()
    if copy is None:
        return []
    factors = np.array([copy.shape[1] / pixels.shape[1], copy.shape[0] / pixels.shape[0]])
    return without_duplicates([_enlarged(face, factors) for face in detector(copy)])


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
