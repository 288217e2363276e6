"""A face mesh that nobody detected: every polygon is an ellipse at a canonical place. Loaded by path."""

import numpy as np

from deblur_zoo.face_classes import FaceClass
from deblur_zoo.faces.alignment import canonical_points
from trainers.datasets.mesh_labels import _LOWER_INNER, _LOWER_OUTER, _UPPER_INNER, _UPPER_OUTER, OVAL, POLYGONS

# Centre and radii (x, y) as shares of the crop's size.
ELLIPSES = {
    FaceClass.LEFT_BROW: ((0.345, 0.20), (0.11, 0.03)),
    FaceClass.RIGHT_BROW: ((0.655, 0.20), (0.11, 0.03)),
    FaceClass.LEFT_EYE: ((0.345, 0.335), (0.08, 0.04)),
    FaceClass.RIGHT_EYE: ((0.655, 0.335), (0.08, 0.04)),
    FaceClass.NOSE: ((0.50, 0.45), (0.07, 0.11)),
}
OVAL_ELLIPSE = (0.5, 0.48), (0.36, 0.48)
MOUTH_CENTRE, OUTER_RADII, INNER_RADII = (0.5, 0.65), (0.125, 0.08), (0.10, 0.04)


def ellipse(centre, radii, angles):
    return np.stack([centre[0] + radii[0] * np.cos(angles), centre[1] + radii[1] * np.sin(angles)], axis=-1)


def toy_points(size=128, margin=16):
    """(468, 2) in pixels of a crop; the five points lie at their canonical places exactly."""
    points = np.full((468, 2), 0.5)
    around = {**{POLYGONS[label]: shape for label, shape in ELLIPSES.items()}, OVAL: OVAL_ELLIPSE}
    for indices, (centre, radii) in around.items():
        # From the left corner, so that the eyes' four points are their corners and the middles of their lids.
        points[list(indices)] = ellipse(centre, radii, np.pi + 2 * np.pi * np.arange(len(indices)) / len(indices))
    for indices, radii, turn in (
        (_UPPER_OUTER, OUTER_RADII, 1),
        (_LOWER_OUTER, OUTER_RADII, -1),
        (_UPPER_INNER, INNER_RADII, 1),
        (_LOWER_INNER, INNER_RADII, -1),
    ):
        points[list(indices)] = ellipse(MOUTH_CENTRE, radii, np.pi + turn * np.linspace(0, np.pi, len(indices)))
    points = points * size + margin
    points[1] = canonical_points(size, margin)[2]
    return points
