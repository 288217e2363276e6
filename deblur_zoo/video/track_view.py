"""The part of a track's frames that is kept: one fixed rectangle that contains all crops of the track."""

from dataclasses import dataclass

import cv2
import numpy as np

from deblur_zoo.faces.alignment import canonical_points, similarity_transform
from deblur_zoo.faces.warp import scale_of

# Beyond the crops' corners, in pixels of the crop: cubic interpolation reaches two.
_RIM = 3
# Centres and half sides (across, down) of the parts, in units of the canonical distance between the eyes.
_EYE, _NOSE, _MOUTH = (0.32, 0.18), (0.25, 0.4), (0.52, 0.25)


@dataclass(frozen=True)
class ViewedFrame:
    """Part of a frame.

    Attributes:
        number: of the frame in the video.
        picture: uint8 (h, w, 3), the rectangle, downscaled if the face is large.
        points: float64 (5, 2) in pixels of ``picture``.
        scale: the track's median scale from ``picture`` to the crop.
    """

    number: int
    picture: np.ndarray
    points: np.ndarray
    scale: float


class TrackView:
    """The rectangle of a track, and its frames cropped to it.

    Args:
        track: a Track.
        shape: (height, width, ...) of the video's frames.
        size, margin: of the crops, in pixels.
    """

    def __init__(self, track, shape, size, margin):
        matrices = [similarity_transform(points, canonical_points(size, margin)) for points in track.points]
        side = size + 2 * margin
        corners = np.array([[x, y] for x in (-_RIM, side - 1 + _RIM) for y in (-_RIM, side - 1 + _RIM)], np.float64)
        places = np.concatenate([(corners - m[:, 2]) @ np.linalg.inv(m[:, :2]).T for m in matrices])
        limit = np.array([shape[1], shape[0]])
        low = np.clip(np.floor(places.min(axis=0)).astype(int), 0, limit - 1)
        high = np.clip(np.ceil(places.max(axis=0)).astype(int) + 1, low + 1, limit)
        self._slices = slice(low[1], high[1]), slice(low[0], high[0])
        scales = np.array([scale_of(matrix) for matrix in matrices])
        # As in ``warp.warp``: faces of more than twice the crop's size are first downscaled by an integer factor.
        factor = int(1 / scales.max() / 2)
        whole = high - low
        self._size = tuple(int(n) for n in np.maximum(1, whole // factor)) if factor >= 2 else None
        steps = whole / np.array(self._size) if self._size else np.ones(2)
        self._points = (track.points - low + 0.5) / steps - 0.5
        self._first = track.first
        self._scale = float(np.median(scales) * np.sqrt(np.prod(steps)))

    def view(self, number, frame):
        """The ViewedFrame of the video's frame ``number``, one of the track."""
        picture = frame[self._slices]
        if self._size is not None:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        # A copy, to free the rest of the frame.
        return ViewedFrame(number, np.array(picture), self._points[number - self._first], self._scale)


def part_boxes(points):
    """Boxes around eyes, nose and mouth from the five points; their sizes are relative to the whole face.

    Args:
        points: (5, 2) in the order of ``alignment.POINT_NAMES``.

    Returns:
        float64 (4, 4): left, top, right, bottom of the left eye, the right eye, the nose and the mouth.
    """
    points = np.asarray(points, np.float64)
    canonical = canonical_points(1)
    unit = np.linalg.norm(canonical[1] - canonical[0]) / scale_of(similarity_transform(points, canonical))
    nose = (points[:2].mean(axis=0) + points[2]) / 2
    parts = [(points[0], _EYE), (points[1], _EYE), (nose, _NOSE), (points[3:].mean(axis=0), _MOUTH)]
    return np.array([[*(centre - unit * np.array(half)), *(centre + unit * np.array(half))] for centre, half in parts])


def face_region(points, shape, size):
    """The upright rectangle around the canonical crop without its margin, inside an image.

    Args:
        points: (5, 2) in pixels of the image.
        shape: (height, width, ...) of the image.
        size: as in ``TrackView``.

    Returns:
        (rows, columns), slices of at least one pixel; if the face is larger than the crop, every second, third ...
        pixel, as many as the crop has.
    """
    matrix = similarity_transform(points, canonical_points(size))
    corners = np.array([[0, 0], [size - 1, 0], [0, size - 1], [size - 1, size - 1]], np.float64)
    places = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.rint(places.min(axis=0)).astype(int), 0, limit - 1)
    high = np.clip(np.rint(places.max(axis=0)).astype(int) + 1, low + 1, limit)
    step = max(1, int(1 / scale_of(matrix)))
    return slice(low[1], high[1], step), slice(low[0], high[0], step)
