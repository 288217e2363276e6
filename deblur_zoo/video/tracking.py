"""Track one face through a video: the detector runs on every few frames, optical flow fills the gaps.

The five points of a detected frame are tracked from frame to frame (Lucas-Kanade); the drift found at the next detected
frame is distributed over the frames in between. A track ends at a scene cut, where the face is lost or rejected, and
where the tracked points and the detected face disagree.
"""

from collections import Counter, deque
from dataclasses import dataclass, replace

import cv2
import numpy as np

from deblur_zoo.faces import acceptance

NO_FACE, ANOTHER_FACE = "no face found", "face lost"
# Optical flow works on frames of this longer side.
FLOW_SIDE = 640
# Largest distance between tracked and detected points of one face, as a share of the distance between the eyes.
LARGEST_ERROR = 0.3
# A cut: the mean change of grey level over 32 x 18 cells exceeds this plus three times the usual change.
CUT_CHANGE = 20.0


@dataclass(frozen=True)
class Track:
    """One face over successive frames.

    Attributes:
        first: number of its first frame in the video.
        points: float64 (n, 5, 2), (x, y) in pixels of each frame, in the order of ``alignment.POINT_NAMES``.
        ended: why it ended.
    """

    first: int
    points: np.ndarray
    ended: str = ""

    @property
    def last(self):
        return self.first + len(self.points) - 1


@dataclass(frozen=True)
class Tracks:
    """All tracks of a video.

    Attributes:
        tracks: list of Track, in chronological order, without frames in common.
        frames: number of frames of the video.
        dropped: Counter of the reasons why frames are not in a track.
    """

    tracks: list
    frames: int
    dropped: Counter


def track_faces(frames, detector, every=5, size=128, margin=0, rules=None):
    """Track the main face.

    Args:
        frames: iterable of uint8 (H, W, 3) RGB, of one size.
        detector: function of a frame that returns a list of Face, such as ``detection.Detector``.
        every: the detector runs on every ``every``-th frame, and after a cut; at least 1.
        size, margin: of the crops to be made, in pixels, for ``rules``.
        rules: acceptance.Rules for each detected face; None for the defaults.

    Returns:
        Tracks.

    Raises:
        ValueError: ``every`` below 1.
    """
    if every < 1:
        raise ValueError(f"The detector must run every 1 or more frames, got {every}.")
    tracker = _Tracker(detector, every, size, margin, rules or acceptance.Rules())
    for frame in frames:
        tracker.take(frame)
    tracker.end("end of the video")
    return Tracks(tracker.tracks, tracker.number, tracker.dropped)


class _Tracker:
    def __init__(self, detector, every, size, margin, rules):
        self._detector, self._every, self._rules = detector, every, rules
        self._size = size, margin
        self.tracks, self.dropped = [], Counter()
        # Frames taken; points up to the last detected frame; points tracked since.
        self.number, self._known, self._carried = 0, [], []
        self._first = None
        self._next_look, self._reason = 0, NO_FACE
        self._grey = None
        self._cuts = CutDetector()

    def take(self, frame):
        """Process one more frame."""
        grey, scale = small_grey(frame)
        if self._cuts.is_cut(grey):
            # Assume that optical flow was right until here: a few frames at most.
            self.end("scene cut")
            self._next_look = self.number
        if self._known:
            latest = (self._carried or self._known)[-1]
            carried = carry(self._grey, grey, latest * scale)
            if carried is None:
                self._lose(ANOTHER_FACE)
            else:
                self._carried.append(carried / scale)
        self._grey = grey
        if self.number >= self._next_look:
            self._look(frame)
            self._next_look = self.number + self._every
        elif not self._known:
            self.dropped[self._reason] += 1
        self.number += 1

    def _look(self, frame):
        """Detect the face in a frame, and correct the tracked points."""
        expected = self._carried[-1] if self._carried else None
        faces = self._detector(frame)
        self._reason = NO_FACE
        if faces:
            if expected is None:
                face = acceptance.main_face(faces, frame.shape, self._rules.minimum_confidence)
            else:
                face = min(faces, key=lambda face: point_error(expected, face.points))
            rules = self._rules
            if expected is not None and point_error(expected, face.points) <= LARGEST_ERROR:
                # The position of the face is known, so the detector need not be confident.
                rules = replace(rules, minimum_confidence=0.0)
            refusal = acceptance.refusal(acceptance.measure(face, frame.shape, *self._size), rules)
            self._reason = refusal.split(":")[0]
        if self._reason:
            if self._known:
                self._lose(self._reason, self._reason)
            else:
                self.dropped[self._reason] += 1
            return
        points = np.asarray(face.points, np.float64)
        if expected is not None:
            if point_error(expected, points) > LARGEST_ERROR:
                # This frame begins the next track.
                self._carried.pop()
                self._lose(ANOTHER_FACE)
            else:
                count = len(self._carried)
                error = points - expected
                self._known += [carried + error * (k + 1) / count for k, carried in enumerate(self._carried)]
                self._carried = []
                return
        self._first, self._known = self.number, [points]

    def _lose(self, reason, ended=ANOTHER_FACE):
        """End the track at the last frame in which the face was detected."""
        self.dropped[reason] += len(self._carried)
        self._carried, self._reason = [], reason
        self.end(ended)

    def end(self, reason):
        """End the track, if any."""
        if self._known:
            self.tracks.append(Track(self._first, np.stack(self._known + self._carried), reason))
        self._known, self._carried = [], []


class CutDetector:
    """Scene cuts in a sequence of grey frames."""

    def __init__(self):
        self._fields = None
        self._changes = deque(maxlen=9)

    def is_cut(self, grey):
        """Whether a new scene begins with this frame, uint8 (H, W), the next of the sequence."""
        fields = cv2.resize(grey, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._fields is None:
            self._fields = fields
            return False
        change = float(np.mean(np.abs(fields - self._fields)))
        self._fields = fields
        # Until the usual change is known, require a clearer cut.
        known = len(self._changes) >= 3
        usual = float(np.median(self._changes)) if known else CUT_CHANGE / 3
        self._changes.append(change)
        return change > CUT_CHANGE + 3 * usual


def small_grey(frame):
    """A frame in grey, downscaled for optical flow, and the scale of its coordinates."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, FLOW_SIDE / max(grey.shape))
    if scale < 1:
        size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return grey, scale


def _eye_distance(points):
    return max(float(np.linalg.norm(points[1] - points[0])), 1e-6)


def point_error(one, other):
    """Mean distance of five points from five others, as a share of the distance between the eyes."""
    return float(np.mean(np.linalg.norm(one - other, axis=1))) / _eye_distance(one)


def carry(before, after, points):
    """The positions of points of one grey frame in the next, (5, 2), or None if most of them are lost."""
    window = int(np.clip(_eye_distance(points) / 2, 11, 41)) | 1
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points.astype(np.float32)[:, None], None, winSize=(window, window), maxLevel=3
    )
    found = found.ravel() > 0
    if found.sum() < 3:
        return None
    step = moved[:, 0].astype(np.float64) - points
    # A lost point moves like the others.
    step[~found] = np.median(step[found], axis=0)
    return points + step
