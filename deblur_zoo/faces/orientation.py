"""The orientation of a detected face.

A landmark network that was trained on upright faces returns upright points for any input: on an upside-down face it
takes the mouth for the eyes, with high confidence. But a right answer stays right if the image is rotated a little,
while the points of a wrong one rotate with the frame. So the network sees the face at many angles, and each result
votes for the rotation that its points have in the photo.
"""

import numpy as np

from deblur_zoo.faces.alignment import canonical_points, similarity_transform
from deblur_zoo.faces.warp import rotation_of, warp

SIDE = 48
# Twice the patch, and room for its corners when it is turned.
_CUT = 136
_TURNS = np.arange(0, 360, 15)
# Votes within about this many degrees of each other agree.
_AGREE = 12
# Points that fit a face's canonical points worse than this share of its size count less.
_RESIDUAL = 0.06
# The votes that agree, each up to 1. Of 16 people turned by 0 to 345 degrees, right ones had 2.8 and more, wrong ones
# up to 2.0; upright faces under strong motion blur can have 1.9.
_NEEDED = 2.0
# Where more than this share of the votes is for the rotation that was found, it is not clear which of the two is right.
_RIVAL = 0.5
# Points within this of the voted rotation are right, and good ones if the face is within that of upright.
_NEAR, _UPRIGHT = 12, 30


def checked(image, box, points, network):
    """Corrected points of a face that may be rotated, and their certainty.

    Args:
        image: uint8 (H, W, 3).
        box: (4,), left, top, right, bottom in pixels of the image.
        points: float64 (5, 2), detected as if the face were upright.
        network: function of uint8 (n, SIDE, SIDE, 3) to scores (n,) and points (n, 5, 2) in pixels of the patches.

    Returns:
        points: float64 (5, 2); those given where they agree with the vote and the face is nearly upright.
        certainty: in [0, 1]; below 1 where few turns agree, or many on each of two rotations.
    """
    side, given = max(box[2:] - box[:2]), _rotation(points)
    voted, angle, votes, votes_given = _vote(image, (box[:2] + box[2:]) / 2, side, network, given)
    certainty = min(1.0, votes / _NEEDED)
    agree = abs(_difference(given, angle)) <= _NEAR
    if agree and abs(angle) <= _UPRIGHT:
        return points, certainty
    if not agree and votes_given > _RIVAL * votes:
        return points, (1 - _RIVAL) * certainty
    # Once more, around the points: the box was that of another view of the face.
    again, second, votes, _ = _vote(image, voted.mean(axis=0), side, network, given)
    certainty = min(certainty, votes / _NEEDED)
    return again, certainty if abs(_difference(second, angle)) <= _NEAR else (1 - _RIVAL) * certainty


def _vote(image, centre, side, network, given):
    """The points that most turns agree on, their rotation, the votes for it, and those for the rotation ``given``."""
    # All turns are cut from one smaller picture around the face: photos are large.
    to_face = _matrix(2 * SIDE / side, 0, centre, _CUT)
    face = warp(image, to_face, _CUT)
    middle = np.full(2, (_CUT - 1) / 2)
    matrices = [_matrix(0.5, turn, middle, SIDE) for turn in _TURNS]
    scores, found = network(np.stack([warp(face, matrix, SIDE) for matrix in matrices]))
    found = [_taken_back(points, matrix) for points, matrix in zip(found.astype(np.float64), matrices, strict=True)]
    points = np.stack([_taken_back(points, to_face) for points in found])
    rotations = np.array([_rotation(p) for p in points])
    residuals = np.array([_residual(p) for p in points])
    weights = scores * (scores > 0.5) * np.exp(-((residuals / _RESIDUAL) ** 2))
    candidates = np.append(np.arange(-180, 180, 5), given)
    agreement = np.exp(-((_difference(rotations, candidates[:, None]) / _AGREE) ** 2)) * weights
    votes = agreement.sum(axis=1)
    best = votes[:-1].argmax()
    share = agreement[best] / max(votes[best], 1e-9)
    return np.tensordot(share, points, axes=1), candidates[best], votes[best], votes[-1]


def _matrix(scale, turn, centre, side):
    """The similarity that scales and turns (degrees) and takes ``centre`` to the middle of a square."""
    turn = np.radians(turn)
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.concatenate([rotation, ((side - 1) / 2 - rotation @ centre)[:, None]], axis=1)


def _taken_back(points, matrix):
    return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def _rotation(points):
    return rotation_of(similarity_transform(points, canonical_points()))


def _residual(points):
    """Root mean square distance from the canonical points after the fit, as a share of the face's size."""
    target = canonical_points(1)
    matrix = similarity_transform(points, target)
    return np.sqrt(np.mean(np.sum((points @ matrix[:, :2].T + matrix[:, 2] - target) ** 2, axis=1)))


def _difference(angles, other):
    """Angle in degrees from ``other`` to ``angles``, in [-180, 180)."""
    return (np.asarray(angles) - other + 180) % 360 - 180
