"""Rules for which detected faces are cropped, and the reasons for rejecting others."""

from dataclasses import dataclass

import numpy as np

from deblur_zoo.faces.alignment import canonical_points, similarity_transform
from deblur_zoo.faces.warp import rotation_of, scale_of, share_inside


@dataclass(frozen=True)
class Rules:
    """Limits for using a face.

    Attributes:
        minimum_confidence: the detector's confidence, in [0, 1].
        maximum_residual: root mean square distance of the five points from their canonical places after the
            similarity fit, as a share of the crop's size. Profiles and wrong points exceed it.
        maximum_enlargement: largest factor of enlarging a face to fill the crop.
        minimum_inside: share of the canonical crop (without margin) that lies inside the photo.
    """

    minimum_confidence: float = 0.9
    maximum_residual: float = 0.065
    maximum_enlargement: float = 2.0
    minimum_inside: float = 0.7


@dataclass(frozen=True)
class Fit:
    """How a face fits the canonical alignment; fields as in ``Rules``, the rotation in degrees."""

    confidence: float
    residual: float
    enlargement: float
    inside: float
    rotation: float


def measure(face, shape, size, margin):
    """Fit of a face in a photo of shape (H, W, ...) to a crop of ``size`` with ``margin``."""
    target = canonical_points(size, margin)
    matrix = similarity_transform(face.points, target)
    distance = np.linalg.norm(face.points @ matrix[:, :2].T + matrix[:, 2] - target, axis=1)
    return Fit(
        confidence=face.confidence,
        residual=float(np.sqrt(np.mean(distance**2))) / size,
        enlargement=scale_of(matrix),
        inside=share_inside(matrix, size, margin, shape),
        rotation=rotation_of(matrix),
    )


def refusal(fit, rules):
    """Why a face is not used, as "kind: numbers"; an empty string if it is."""
    if fit.confidence < rules.minimum_confidence:
        return f"uncertain face: confidence {fit.confidence:.3f}, at least {rules.minimum_confidence:g} is needed"
    if fit.enlargement > rules.maximum_enlargement:
        return f"face too small: enlarged {fit.enlargement:.2f} times, at most {rules.maximum_enlargement:g} is allowed"
    if fit.residual > rules.maximum_residual:
        return (
            f"points do not fit: {fit.residual:.3f} of the size off on average, at most {rules.maximum_residual:g} "
            "is allowed (a profile, or wrong points)"
        )
    if fit.inside < rules.minimum_inside:
        return (
            f"face cut off: {fit.inside:.2f} of the crop inside the photo, at least {rules.minimum_inside:g} is needed"
        )
    return ""


def main_face(faces, shape, minimum_confidence=0.0):
    """The main face of a photo: large and near the middle.

    Faces are ranked by area, weighted down to one half in the photo's corners. Uncertain faces are used only in
    the absence of others.

    Args:
        faces: non-empty list of Face.
        shape: (H, W, ...) of the photo.
        minimum_confidence: below it a face is uncertain.
    """
    faces = [face for face in faces if face.confidence >= minimum_confidence] or faces
    middle = np.array([shape[1], shape[0]]) / 2

    def weight(face):
        centre = (face.box[:2] + face.box[2:]) / 2
        return face.area * (1 - 0.5 * min(1.0, np.linalg.norm(centre - middle) / np.linalg.norm(middle)))

    return max(faces, key=weight)
