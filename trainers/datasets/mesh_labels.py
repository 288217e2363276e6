"""Parsing labels from the points of a face mesh: polygons of the components and of the face's oval."""

from dataclasses import dataclass

import cv2
import numpy as np

from deblur_zoo.face_classes import COMPONENTS, UNKNOWN, FaceClass
from deblur_zoo.faces.alignment import CROP_SIZE, canonical_points

# Indices of the mesh's points, published with it, in order around each polygon. The mesh names sides from the person's
# view; here left means left in the image.
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
_UPPER_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
_UPPER_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_LOWER_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_LOWER_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
POLYGONS = {
    FaceClass.LEFT_BROW: (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    FaceClass.RIGHT_BROW: (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
    FaceClass.LEFT_EYE: (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    FaceClass.RIGHT_EYE: (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
    # Down one side of the bridge, around the wing, along the nostrils, and up the other side.
    FaceClass.NOSE: (168, 193, 188, 174, 236, 198, 131, 49, 129, 64, 98, 97, 2,
                 326, 327, 294, 358, 279, 360, 420, 456, 399, 412, 417),
    FaceClass.UPPER_LIP: _UPPER_OUTER + _UPPER_INNER[::-1],
    FaceClass.INNER_MOUTH: _UPPER_INNER + _LOWER_INNER[-2:0:-1],
    FaceClass.LOWER_LIP: _LOWER_OUTER + _LOWER_INNER[::-1],
}  # fmt: skip
# The mesh points whose mean is each of the five canonical points.
FIVE_POINTS = ((33, 133, 159, 145), (362, 263, 386, 374), (1,), (61,), (291,))
# The mesh's brow points are above the hairs. Shifted towards the mouth by this share of the distance between the eyes,
# their polygons agree best with hand-made labels (docs/parsing.md).
BROW_SHIFT = 0.045
# Classes of ``from_six_classes``.
_SKIN, _NOSE, _EYES, _MOUTH, _HAIR_AND_BROWS = 1, 2, 3, 4, 5
SIX_CLASS_COMPONENTS = (_NOSE, _EYES, _MOUTH)
# Fractional bits of polygon vertices in OpenCV.
_SHIFT = 4


@dataclass(frozen=True)
class MeshRules:
    """When a mesh is accepted.

    Attributes:
        minimum_score: of the network's probability of a face.
        maximum_distance: mean distance of the mesh's five points from the canonical ones, as a share of the size.
    """

    minimum_score: float = 0.9
    maximum_distance: float = 0.08


def five_points(points):
    """The five points of the canonical alignment, from mesh points (..., 468, 2) to (..., 5, 2)."""
    points = np.asarray(points)
    return np.stack([points[..., list(indices), :].mean(axis=-2) for indices in FIVE_POINTS], axis=-2)


def refusal(points, score, size=CROP_SIZE, margin=0, rules=None):
    """Why a mesh is rejected, as "kind: numbers"; an empty string if it is accepted.

    Args:
        points: (468, 2), in pixels of a canonical crop of ``size`` with ``margin``.
        score: the network's.
        rules: MeshRules, or None for the defaults.
    """
    rules = rules or MeshRules()
    if not np.isfinite(points).all():
        return "no mesh: points that are not finite"
    if not score >= rules.minimum_score:
        return f"no face for the mesh: score {score:.3f}, at least {rules.minimum_score:g} is needed"
    distance = np.linalg.norm(five_points(points) - canonical_points(size, margin), axis=-1).mean() / size
    if distance > rules.maximum_distance:
        return (
            f"mesh beside the face: its five points are {distance:.3f} of the size from the crop's, at most "
            f"{rules.maximum_distance:g} is allowed"
        )
    return ""


def corners_of(points, component):
    """The polygon of a component: float64 (K, 2), from mesh points (468, 2)."""
    points = np.asarray(points, np.float64)
    corners = points[list(POLYGONS[component])]
    if component in (FaceClass.LEFT_BROW, FaceClass.RIGHT_BROW):
        left_eye, right_eye, _, left_mouth, right_mouth = five_points(points)
        down = (left_mouth + right_mouth - left_eye - right_eye) / 2
        length = np.linalg.norm(down)
        if length > 0:
            corners = corners + BROW_SHIFT * np.linalg.norm(right_eye - left_eye) * down / length
    return corners


def fill(corners, shape):
    """The pixels inside a polygon (K, 2) of (x, y), including its edge: bool (H, W)."""
    mask = np.zeros(shape, np.uint8)
    # Larger numbers overflow in the drawing routine.
    corners = np.rint(np.clip(np.asarray(corners, np.float64), -1e5, 1e5) * 2**_SHIFT).astype(np.int32)
    cv2.fillPoly(mask, [corners[:, None]], 1, shift=_SHIFT)
    return mask > 0


def mesh_labels(points, shape):
    """Draw labels from a mesh.

    Inside a component's polygon its class; elsewhere inside the oval skin, except on the forehead; the rest is unknown,
    since the mesh does not distinguish hair, background, ears and neck, nor a forehead from a fringe. Skin covered by
    hands, hair or glasses is labelled skin, since the mesh does not detect what covers a face.

    Args:
        points: (468, 2) of (x, y) in pixels.
        shape: (H, W) of the map.

    Returns:
        uint8 (H, W): ``FaceClass`` values, or 255.

    Raises:
        ValueError: points of another shape, or not finite.
    """
    points = np.asarray(points)
    if points.shape != (468, 2) or not np.isfinite(points).all():
        raise ValueError(f"the mesh's points must be 468 finite (x, y), got an array of shape {points.shape}")
    labels = np.full(shape, UNKNOWN, np.uint8)
    left_brow, right_brow = (
        corners_of(points, brow).mean(axis=0) for brow in (FaceClass.LEFT_BROW, FaceClass.RIGHT_BROW)
    )
    below_brows = ~_above(_places(shape), left_brow, right_brow)
    labels[fill(points[list(OVAL)], shape) & below_brows] = FaceClass.SKIN
    # The inner mouth before the lips: when closed it is a line that belongs to the lips.
    order = sorted(COMPONENTS, key=lambda component: component != FaceClass.INNER_MOUTH)
    for component in order:
        labels[fill(corners_of(points, component), shape)] = component
    return labels


def from_six_classes(labels, points):
    """Six classes (0 background, 1 skin, 2 nose, 3 eyes, 4 mouth, 5 hair and brows) to the 11 of ``FaceClass``.

    - Background and nose are kept. The mouth becomes unknown, since lips and inner mouth share a class.
    - An eye pixel belongs to the eye whose centre in the mesh is nearer.
    - A patch of hair-and-brows at least three quarters inside the zone of the mesh's brows (their polygons, widened by
      a tenth of the distance between the eyes) is a brow, left or right by the nearer polygon's centre. The rest of
      the class inside the zone is unknown (a fringe, a brow that touches the hair), and outside it hair.
    - Skin is skin inside the mesh's oval and above the line of the eyes. Elsewhere it may be ear or neck, which count
      as
      background in the 11 classes, and becomes unknown.

    Args:
        labels: uint8 (H, W) of 0 to 5, and 255 for unknown.
        points: (468, 2) of (x, y), mesh points in pixels of ``labels``.

    Returns:
        uint8 (H, W).
    """
    shape = labels.shape
    result = np.full(shape, UNKNOWN, np.uint8)
    result[labels == 0] = FaceClass.BACKGROUND
    result[labels == _NOSE] = FaceClass.NOSE
    left_eye, right_eye, *_ = five_points(points)
    across = right_eye - left_eye
    place = _places(shape)
    on_left = _nearer(place, left_eye, right_eye)
    result[(labels == _EYES) & on_left] = FaceClass.LEFT_EYE
    result[(labels == _EYES) & ~on_left] = FaceClass.RIGHT_EYE
    skin = labels == _SKIN
    above = _above(place, left_eye, right_eye)
    oval = fill(np.asarray(points)[list(OVAL)], shape)
    result[skin & (above | oval)] = FaceClass.SKIN
    radius = max(1, round(0.1 * float(np.linalg.norm(across))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    brows = [corners_of(points, brow) for brow in (FaceClass.LEFT_BROW, FaceClass.RIGHT_BROW)]
    zone = np.zeros(shape, np.uint8)
    for corners in brows:
        zone |= cv2.dilate(fill(corners, shape).astype(np.uint8), disc)
    zone = zone > 0
    left_brow, right_brow = (corners.mean(axis=0) for corners in brows)
    hair = labels == _HAIR_AND_BROWS
    count, patches = cv2.connectedComponents(hair.astype(np.uint8), connectivity=8)
    for patch in range(1, count):
        pixels = patches == patch
        if zone[pixels].mean() >= 0.75:
            middle = place[pixels].mean(axis=0)
            result[pixels] = FaceClass.LEFT_BROW if _nearer(middle, left_brow, right_brow) else FaceClass.RIGHT_BROW
        else:
            result[pixels & ~zone] = FaceClass.HAIR
    return result


def _places(shape):
    """(x, y) of every pixel: (H, W, 2)."""
    return np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), axis=-1)


def _above(place, left, right):
    """Whether positions are on the forehead's side of the line through two points, left and right in the image."""
    return (place - left) @ np.array([left[1] - right[1], right[0] - left[0]]) < 0


def _nearer(place, one, other):
    return np.linalg.norm(place - one, axis=-1) <= np.linalg.norm(place - other, axis=-1)
