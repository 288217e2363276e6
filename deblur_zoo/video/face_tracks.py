"""Follow every face of a video with the detector on one frame in many.

Optical flow carries the five points of each face from frame to frame, and back from the frame in which it was first
detected. The detector's points jitter by some pixels and those of optical flow do not, so a detection near the carried
points moves them by a part of the distance only, spread over the frames since the last one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from deblur_zoo.annotations import Array
from deblur_zoo.faces.detection import Face
from deblur_zoo.video.tracking import LARGEST_ERROR, CutDetector, carry, point_error, small_grey

# Distances are in shares of that between the eyes. A detection nearer to the carried points than this moves them
# by this share of the way; one farther away replaces them.
_JITTER = 0.1
_GAIN = 0.25
# Points carried to the next frame and back must return to within this distance.
_RETURN_ERROR = 0.1
# A face that optical flow has just lost is found again within this distance.
_LOST_ERROR = 1.0
# So many looks of the detector may miss a face that optical flow still follows.
_MISSES = 3


@dataclass(frozen=True)
class FaceTrack:
    """One face over successive frames.

    Attributes:
        first: number of its first frame in the video.
        points: float64 (n, 5, 2), (x, y) in pixels of each frame, in the order of ``alignment.POINT_NAMES``.
        starts_with_shot: the face is there from the first frame of the shot; otherwise it comes into it.
        ends_with_shot: the face is there to the last frame of the shot.
    """

    first: int
    points: Array
    starts_with_shot: bool
    ends_with_shot: bool

    @property
    def last(self) -> int:
        """Number of the last frame."""
        return self.first + len(self.points) - 1


@dataclass
class _Open:
    first: int
    starts_with_shot: bool
    known: list
    carried: list = field(default_factory=list)
    lost: bool = False
    misses: int = 0
    sightings: int = 1
    carried_when_missed: int = 0

    @property
    def latest(self):
        return (self.carried or self.known)[-1]


class FaceTracker:
    """Takes the frames of a video one by one; has the tracks at the end.

    Args:
        detector: function of a frame that returns a list of Face, such as ``detection.Detector``.
        every: the detector runs on every ``every``-th frame, after a cut, and where optical flow loses a face.

    Raises:
        ValueError: ``every`` below 1.
    """

    def __init__(self, detector: Callable[[Array], list[Face]], every: int) -> None:
        if every < 1:
            raise ValueError(f"The detector must run every 1 or more frames, got {every}.")
        self._detector, self._every = detector, every
        self._number, self._shot, self._next_look = 0, 0, 0
        self._cuts = CutDetector()
        # Grey frames since the last look, and their scale.
        self._greys: list = []
        self._scale = 1.0
        self._open: dict[int, _Open] = {}
        self._closed: dict[int, FaceTrack] = {}
        self._next_id = 0

    def take(self, frame: Array) -> dict[int, Array]:
        """Process the next frame.

        Args:
            frame: uint8 (H, W, 3) RGB, upright; of one size.

        Returns:
            The faces that the detector saw in this frame: dict of track's number to points (5, 2).
        """
        grey, self._scale = small_grey(frame)
        if self._cuts.is_cut(grey):
            self._end_shot()
        for track in self._open.values():
            points = _followed(self._greys[-1], grey, track.latest * self._scale)
            track.lost = points is None
            track.carried.append(track.latest if points is None else points / self._scale)
        self._greys.append(grey)
        seen: dict[int, Array] = {}
        if self._number >= self._next_look or any(track.lost for track in self._open.values()):
            seen = self._look(frame)
            self._greys = [grey]
            self._next_look = self._number + self._every
        self._number += 1
        return seen

    def finish(self) -> dict[int, FaceTrack]:
        """End the video. Returns dict of number to FaceTrack."""
        self._end_shot()
        return self._closed

    def _end_shot(self):
        for number in list(self._open):
            self._close(number, ends_with_shot=True)
        self._greys, self._shot, self._next_look = [], self._number, self._number

    def _look(self, frame):
        faces = list(self._detector(frame))
        pairs = [
            (point_error(track.latest, face.points), number, index)
            for number, track in self._open.items()
            for index, face in enumerate(faces)
        ]
        seen: dict[int, Array] = {}
        taken = set()
        for error, number, index in sorted(pairs):
            limit = _LOST_ERROR if self._open[number].lost else LARGEST_ERROR
            if number not in seen and index not in taken and error <= limit:
                taken.add(index)
                seen[number] = self._correct(self._open[number], np.asarray(faces[index].points, np.float64), error)
        for number in [number for number in self._open if number not in seen]:
            self._miss(number)
        for index, face in enumerate(faces):
            if index not in taken:
                seen[self._next_id] = self._start(np.asarray(face.points, np.float64))
                self._next_id += 1
        return seen

    def _correct(self, track, points, error):
        gain = _GAIN if error < _JITTER and not track.lost else 1.0
        step, count = gain * (points - track.latest), len(track.carried)
        track.known += [carried + step * (k + 1) / count for k, carried in enumerate(track.carried)]
        track.carried, track.lost, track.misses = [], False, 0
        track.sightings += 1
        return track.latest

    def _miss(self, number):
        track = self._open[number]
        if track.lost:
            track.carried.pop()
            self._close(number)
            return
        if track.misses == 0:
            track.carried_when_missed = len(track.carried)
        track.misses += 1
        if track.misses >= _MISSES:
            del track.carried[track.carried_when_missed :]
            self._close(number)

    def _start(self, points):
        """A new track, followed back to the last look at most."""
        path = [points]
        for after, before in zip(self._greys[::-1], self._greys[-2::-1], strict=False):
            earlier = _followed(after, before, path[-1] * self._scale)
            if earlier is None:
                break
            path.append(earlier / self._scale)
        first = self._number - len(path) + 1
        self._open[self._next_id] = _Open(first, first == self._shot, path[::-1])
        return points

    def _close(self, number, ends_with_shot=False):
        track = self._open.pop(number)
        if track.sightings == 1 and track.misses:
            # Seen once and not again: rarely a face.
            return
        points = np.stack(track.known + track.carried)
        self._closed[number] = FaceTrack(track.first, points, track.starts_with_shot, ends_with_shot)


def _followed(before, after, points):
    """Points of one grey frame in another, or None if they cannot be followed there and back, or leave the frame."""
    moved = carry(before, after, points)
    if moved is None:
        return None
    back = carry(after, before, moved)
    if back is None or point_error(points, back) > _RETURN_ERROR:
        return None
    middle, limit = moved.mean(axis=0), np.array(after.shape[::-1])
    return moved if ((middle >= 0) & (middle < limit)).all() else None
