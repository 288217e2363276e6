"""Motion blur from video: averages of successive frames, with the middle frame as ground truth.

Chrysos et al. 2019 (International Journal of Computer Vision 127), section 3.4, eq. (9):

    blurred = response(1 / L * sum of inverse_response(frame) over L successive frames), L odd, truth: the middle frame

- Predefined averages: L is given (section 5: 7, 9, 11, 15 and 21 frames).
- Variable-length averages (VLA): frames are added until a stop condition is met. The caller, who knows what a frame
  shows, supplies the functions that measure the quantities in ``Conditions``.
- Reversed pass (section 5.1): sequences that grow from their last frame backwards. Those that nearly repeat a sequence
  of the forward pass are dropped.

With ``between`` the average covers the whole exposure from the first to the last frame, including interpolated frames
(``frame_interpolation``), instead of the original frames only.

Deviations, and choices that the paper leaves open: the response "gamma" averages frames in linear light, as a sensor
does (exponent 2.2 as in Nah et al. 2017); "identity" is the paper's. A sequence starts half a length after the previous
one. The reversed pass visits its last frames in chronological order, so that it works on a stream. We add a longest
sequence, skip sequences without motion (a still face meets no condition), and end a sequence at a jump of the face, one
of the "other failure cases" of the third condition.

Frames can be of any type: arrays, or objects that ``image`` turns into arrays.
"""

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deblur_zoo.video.frame_sequence import JUMP, OVERLAP, QUALITY, REVERSAL, Conditions, grow, same
from deblur_zoo.video.frame_sum import FrameSum

# Further reasons why a sequence ends or a frame is unused, besides the conditions.
LONGEST, END, STILL = "longest", "end of the track", "hardly any motion"
_USED, _UNDECIDED = 0, 1
_STATES = (OVERLAP, QUALITY, REVERSAL, JUMP, END, STILL)


@dataclass(frozen=True)
class Average:
    """A blurred image and the frames behind it.

    Attributes:
        blurred: uint8, the average.
        middle: the middle frame, the ground truth.
        first, last: numbers of its earliest and its latest frame in the stream, from 0.
        stop: why the sequence did not grow further.
        reversed: whether it grew backwards from its last frame.
        quality: of the average against the middle frame, by the conditions' function; None if there is none.
    """

    blurred: np.ndarray
    middle: Any
    first: int
    last: int
    stop: str = ""
    reversed: bool = False
    quality: float | None = None

    @property
    def length(self):
        return self.last - self.first + 1


def predefined_averages(frames, length, step=None, response="gamma", image=None, between=None):
    """Averages of a fixed number of successive frames, by a running sum over one window of frames.

    Args:
        frames: iterable of frames of one shape.
        length: frames per average, odd.
        step: frames from the start of an average to the start of the next; None: half the length, rounded down.
        response: as ``FrameSum``.
        image: function of a frame that returns its uint8 image; None: the frame is the image.
        between: function of two successive frames, in chronological order, that returns the light from one to the other
            as int64, such as ``frame_interpolation.light_between``; these intervals are averaged. None: the frames
            themselves are averaged, eq. (9).

    Yields:
        Average; none if there are fewer frames than ``length``.

    Raises:
        ValueError: a length that is even or below 3, a step below 1, another response.
    """
    image = image or same
    step = length // 2 if step is None else step
    _check_length(length)
    if step < 1:
        raise ValueError(f"The step between averages must be at least one frame, got {step}.")
    total, window, intervals = FrameSum(response), deque(), deque()
    for number, frame in enumerate(frames):
        if between is None:
            total.add(image(frame))
        elif window:
            intervals.append(between(window[-1], frame))
            total.add_light(intervals[-1])
        window.append(frame)
        if len(window) > length:
            oldest = window.popleft()
            if between is None:
                total.remove(image(oldest))
            else:
                total.remove_light(intervals.popleft())
        first = number - length + 1
        if first >= 0 and first % step == 0:
            yield Average(total.mean(), window[length // 2], first, number, LONGEST)


@dataclass
class VariableAverages:
    """Variable-length averages of streams of frames, forwards and backwards; call it with each stream (each track).

    Attributes:
        conditions: Conditions.
        shortest, longest: frames of a sequence, odd, 3 <= shortest <= longest. A call holds ``longest`` frames of its
            stream, and those of reversed averages that have yet to be compared with forward ones.
        advance: distance between the starts of two sequences as a share of the former's length, above 0, at most 1.
        both_directions: also make the reversed pass.
        alike: a reversed average is dropped if it has this share of its frames in common with a forward one
            (intersection over union), in [0, 1].
        response, image, between: as ``predefined_averages``. With ``between`` the light of each interval between held
            frames is held too, 8 bytes for each byte of a frame.
        used: number of frames so far that are in an average.
        dropped: Counter of the reasons why the other frames are not.
        most_held: the maximum number of frames held at a time.

    Raises:
        ValueError: a number out of range.
    """

    conditions: Conditions = field(default_factory=Conditions)
    shortest: int = 5
    longest: int = 31
    advance: float = 0.5
    both_directions: bool = True
    alike: float = 0.8
    response: str = "gamma"
    image: Callable | None = None
    between: Callable | None = None
    used: int = 0
    dropped: Counter = field(default_factory=Counter)
    most_held: int = 0

    def __post_init__(self):
        _check_length(self.shortest)
        _check_length(self.longest)
        if self.longest < self.shortest:
            raise ValueError(f"The longest sequence, {self.longest}, is shorter than the shortest, {self.shortest}.")
        if not 0 < self.advance <= 1 or not 0 <= self.alike <= 1:
            raise ValueError(
                f"advance must be above 0 and at most 1, alike from 0 to 1; got {self.advance} and {self.alike}."
            )
        FrameSum(self.response)

    def __call__(self, frames):
        """The averages of one stream: generator of Average, roughly in chronological order."""
        state = _Stream(self)
        for frame in frames:
            yield from state.take(frame)
        yield from state.finish()


class _Stream:
    """The state of ``VariableAverages`` for one stream."""

    def __init__(self, settings):
        self.settings = settings
        self.held = deque()
        # The light from each frame of ``held`` to the next, if the settings have ``between``.
        self.intervals = deque()
        # Number of held[0]; where the next forward sequence starts, and the next reversed one.
        self.oldest, self.forward, self.backward = 0, 0, settings.shortest - 1
        self.forward_ranges = deque()
        self.waiting = deque()
        # The fate of each frame, one byte each.
        self.states = bytearray()

    def take(self, frame):
        """Take one more frame; yields the averages that are ready."""
        settings = self.settings
        if len(self.held) == settings.longest:
            yield from self._pass_oldest()
        if settings.between is not None and self.held:
            self.intervals.append(settings.between(self.held[-1], frame))
        self.held.append(frame)
        self.states.append(_UNDECIDED)
        if settings.both_directions and len(self.states) - 1 == self.backward:
            self._grow_backward(last=False)
        settings.most_held = max(settings.most_held, len(self.held) + len(self.waiting))

    def finish(self):
        """End the stream; yields the rest."""
        settings = self.settings
        # A reversed pass starts at the last frame.
        if settings.both_directions and self.held:
            self._grow_backward(last=True)
        while self.held:
            yield from self._pass_oldest()
        yield from self._compared(math.inf)
        for state in self.states:
            if state == _USED:
                settings.used += 1
            else:
                settings.dropped[END if state == _UNDECIDED else _STATES[state - 2]] += 1

    def _pass_oldest(self):
        """Drop the oldest frame, after the sequence that starts there."""
        if self.forward == self.oldest:
            average, advance, reason = self._grow(list(self.held))
            for number in range(self.oldest, self.oldest + advance):
                self._drop(number, reason)
            self.forward += advance
            if average is not None:
                self._use(average.first, average.last)
                self.forward_ranges.append((average.first, average.last))
                yield average
        self.held.popleft()
        if self.intervals:
            self.intervals.popleft()
        self.oldest += 1
        yield from self._compared(self.forward)

    def _grow_backward(self, last):
        """The reversed sequence from the newest frame."""
        average, advance, _ = self._grow(list(self.held)[::-1], backwards=True)
        self.backward = len(self.states) - 1 + advance
        if average is None or (self.waiting and self.waiting[-1].last == average.last):
            return
        # A sequence stopped only by the stream's first frame is part of a longer one that ends later.
        if last or average.stop != END:
            self.waiting.append(average)
        else:
            self.backward = len(self.states)

    def _grow(self, frames, backwards=False):
        """A sequence: (Average or None, distance to the start of the next one, reason if None)."""
        settings = self.settings
        # Light is the same in both directions of time.
        intervals = list(self.intervals)[:: -1 if backwards else 1] if settings.between is not None else None
        sequence = grow(frames, settings.conditions, settings.shortest, settings.response, settings.image, intervals)
        stop = sequence.stop or (LONGEST if sequence.length == settings.longest else END)
        if sequence.blurred is None:
            return None, 1, stop
        advance = max(1, int(settings.advance * sequence.length))
        if sequence.quality is not None and sequence.quality > settings.conditions.most_quality:
            return None, advance, STILL
        first = len(self.states) - sequence.length if backwards else self.oldest
        middle = frames[sequence.length // 2]
        last = first + sequence.length - 1
        return Average(sequence.blurred, middle, first, last, stop, backwards, sequence.quality), advance, ""

    def _compared(self, forward):
        """Reversed averages that no later forward one can resemble, except those that resembled an earlier one."""
        alike = self.settings.alike
        while self.waiting and forward > self.waiting[0].first + (1 - alike) * self.waiting[0].length:
            average = self.waiting.popleft()
            if all(_common_share(average, other) < alike for other in self.forward_ranges):
                self._use(average.first, average.last)
                yield average
        earliest = min([self.oldest, *(average.first for average in self.waiting)])
        while self.forward_ranges and self.forward_ranges[0][1] < earliest:
            self.forward_ranges.popleft()

    def _use(self, first, last):
        self.states[first : last + 1] = bytes([_USED]) * (last - first + 1)

    def _drop(self, number, reason):
        if reason and self.states[number] == _UNDECIDED:
            self.states[number] = 2 + _STATES.index(reason)


def _common_share(average, other):
    """Intersection over union of an average's frames and a range (first, last)."""
    common = min(average.last, other[1]) - max(average.first, other[0]) + 1
    union = max(average.last, other[1]) - min(average.first, other[0]) + 1
    return max(common, 0) / union


def _check_length(length):
    if length < 3 or length % 2 == 0:
        raise ValueError(f"An average needs an odd number of frames, at least 3, got {length}.")
