"""A sequence of frames that grows while its blur is plausible (Chrysos et al. 2019, section 3.4)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deblur_zoo.video.frame_sum import FrameSum

OVERLAP, QUALITY, REVERSAL = "parts do not overlap", "average too unlike", "motion reverses"
JUMP = "motion too fast"


def psnr(one, other):
    """Peak signal-to-noise ratio of two uint8 arrays of one shape, in dB; infinite if they are equal."""
    difference = np.asarray(one, np.float32) - np.asarray(other, np.float32)
    error = float(np.mean(np.square(difference), dtype=np.float64))
    return 10 * math.log10(255.0**2 / error) if error else math.inf


def overlap_of_boxes(first, last):
    """How much of a face's parts two frames have in common: the maximum over the parts.

    Args:
        first, last: (K, 4), left, top, right and bottom of the same K parts in two frames.

    Returns:
        float in [0, 1]: for the part that overlaps most, the common area as a share of its area in ``first``.
    """
    first, last = np.asarray(first, np.float64), np.asarray(last, np.float64)
    low, high = np.maximum(first[:, :2], last[:, :2]), np.minimum(first[:, 2:], last[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    return float(np.max(common / np.prod(first[:, 2:] - first[:, :2], axis=1)))


@dataclass(frozen=True)
class Conditions:
    """When a sequence of frames stops growing. A condition whose function is None never applies.

    Attributes:
        overlap: function of the first and the newest frame that returns how much their facial parts overlap, such as
            ``overlap_of_boxes``.
        least_overlap: the sequence stops before a frame whose overlap with the first is at most this.
        quality: function of (average, middle image), uint8, that returns their similarity; more is better.
        least_quality: the sequence stops before its average is worse than this.
        most_quality: a sequence whose average is better than this has no motion and is skipped.
        region: function of the middle frame that returns a pair of slices (rows, columns) in which the quality is
            measured. None: everywhere.
        position: function of a frame that returns (P, 2), points of the face.
        tolerance: the motion reverses when the points' mean distance from the first frame falls by more than this below
            its maximum so far; in the unit of ``position``.
        largest_step: the sequence stops before a frame whose points have moved by more than this, on average, since the
            previous frame: the average would show several copies instead of blur.
    """

    overlap: Callable | None = None
    least_overlap: float = 0.0
    quality: Callable | None = psnr
    least_quality: float = -math.inf
    most_quality: float = math.inf
    region: Callable | None = None
    position: Callable | None = None
    tolerance: float = 0.0
    largest_step: float = math.inf


@dataclass(frozen=True)
class Sequence:
    """The result of growing a sequence: length (odd; below 3: none), average, quality, and why it stopped."""

    length: int
    blurred: np.ndarray | None
    quality: float | None
    stop: str


def grow(frames, conditions, shortest=5, response="gamma", image=None, intervals=None):
    """Add frames to a sequence, two at a time, until a stop condition is met.

    Args:
        frames: list of frames, the sequence's start first; in the reversed pass that is the latest. If no condition
            applies, all of them are used, except one if their number is even.
        conditions: Conditions.
        shortest: the quality is measured from this length on, odd.
        response, image: as ``predefined_averages``.
        intervals: the light from each frame to the next in this order, int64, one fewer than frames, such as from
            ``frame_interpolation.light_between``, to be averaged. None: the frames themselves are averaged.

    Returns:
        Sequence; its stop is "" if no condition applied.
    """
    image = image or same
    total = FrameSum(response)
    if intervals is None:
        total.add(image(frames[0]))
    motion = _Motion(frames[0], conditions)
    length, quality, stop = 1, None, ""
    while not stop and length + 2 <= len(frames):
        for frame in frames[length : length + 2]:
            stop = stop or motion.reason_to_stop(frame)
        if stop:
            break
        if intervals is None:
            lights = [total.light_of(image(frame)) for frame in frames[length : length + 2]]
        else:
            lights = intervals[length - 1 : length + 1]
        for light in lights:
            total.add_light(light)
        newer = None
        if conditions.quality is not None and length + 2 >= shortest:
            newer = _quality(total, frames[(length + 2) // 2], conditions, image)
            if newer < conditions.least_quality:
                stop = QUALITY
                for light in lights:
                    total.remove_light(light)
                break
        length, quality = length + 2, newer
    if length < max(3, shortest):
        return Sequence(length, None, None, stop)
    return Sequence(length, total.mean(), quality, stop)


class _Motion:
    """The conditions that need no image."""

    def __init__(self, first, conditions):
        self._first = first
        self._conditions = conditions
        self._farthest = 0.0
        if conditions.position is not None:
            self._start = self._before = np.asarray(conditions.position(first), np.float64)

    def reason_to_stop(self, frame):
        """Why the sequence stops before this frame; "" if it does not."""
        conditions = self._conditions
        if conditions.overlap is not None and conditions.overlap(self._first, frame) <= conditions.least_overlap:
            return OVERLAP
        if conditions.position is not None:
            points = np.asarray(conditions.position(frame), np.float64)
            if _mean_distance(points, self._before) > conditions.largest_step:
                return JUMP
            self._before = points
            distance = _mean_distance(points, self._start)
            if distance < self._farthest - conditions.tolerance:
                return REVERSAL
            self._farthest = max(self._farthest, distance)
        return ""


def _quality(total, middle, conditions, image):
    region = conditions.region(middle) if conditions.region is not None else ...
    return conditions.quality(total.mean(region), image(middle)[region])


def _mean_distance(one, other):
    return float(np.mean(np.hypot(*(one - other).T)))


def same(frame):
    """The image of a frame that is an image itself."""
    return frame
