"""The light between two frames of a video, with the frames that the camera did not take filled in by optical flow.

Where a face moves by several pixels from one frame to the next, the average of the two shows it twice; a shutter that
stays open would have drawn it out. So frames are made in between until no step is longer than about a pixel.

The flow is DIS (Kroeger et al. 2016, ECCV, "Fast Optical Flow using Dense Inverse Search") in OpenCV's implementation,
forwards and backwards. A frame in between, at time t from 0 to 1, is both neighbours, warped along the flow and blended
with the weights 1 - t and t. Each counts only where it shows what is there at t: background that the face is about to
cover is in the earlier frame, background that it has just left in the later one. ``_Side`` says how that is known.
"""

import math

import numpy as np

from deblur_zoo.video.frame_sum import FrameSum, light_of_levels

# Frames in between, at most: 16 steps. A pair's face moves by at most 8 pixels of a crop of 128 a frame.
MOST_BETWEEN = 15
# The motion that decides is the one that this percentage of pixels does not exceed: lips and lids are a few per cent
# of a face, while a handful of outliers should not add frames.
_PERCENTILE = 99.5
# DIS needs some pyramid levels of its patches of 8 pixels; smaller frames are not interpolated.
_SMALLEST_SIDE = 16
# Solving x0 + t * flow(x0) = x by fixed-point iteration: flow that is smooth converges in two or three.
_ITERATIONS = 3
# Flows there and back that miss each other by this many pixels bring the trust down to 1 / e; what is seen in neither
# frame still needs a source.
_DISAGREEMENT, _LEAST_TRUST = 1.0, 0.01
# Half the side of the neighbourhood that must be the same in both frames for a pixel to keep still.
_STILL_REACH = 4


def light_between(one, other, response="gamma", longest_step=1.0):
    """The light that falls on the sensor from one frame to the next, as an average.

    Args:
        one, other: uint8 (H, W) or (H, W, 3) RGB, successive frames in the order of time.
        response: as ``FrameSum``.
        longest_step: frames are filled in until the motion from each to the next is no longer than this, in pixels,
            above 0; a longer step shows as a doubled edge. At most MOST_BETWEEN are.

    Returns:
        int64 of the same shape in the unit of ``FrameSum``: the mean of the frames and those in between by the
        trapezoid rule (the two ends count half). So every interval weighs the same in an exposure, however many frames
        were filled in. Where nothing moves it is the mean of the two frames.

    Raises:
        TypeError: arrays that are not uint8.
        ValueError: frames of two shapes, another response, a step of 0 or less.
    """
    if not longest_step > 0:
        raise ValueError(f"The longest step is above 0 pixels, not {longest_step}.")
    ends = FrameSum(response)
    ends.add(one)
    ends.add(other)
    one, other = np.asarray(one), np.asarray(other)
    forward = optical_flow(one, other)
    count = frames_needed(forward, longest_step)
    # Twice the sum, so that the halves of the ends are whole numbers.
    doubled = ends.total
    if count:
        pair = _Pair(one, other, forward, optical_flow(other, one))
        for k in range(1, count + 1):
            doubled += 2 * light_of_levels(pair.levels_at(k / (count + 1)), response)
    parts = 2 * (count + 1)
    return (doubled + parts // 2) // parts


def optical_flow(one, other):
    """Dense optical flow from one frame to another.

    Args:
        one, other: uint8 (H, W) or (H, W, 3) RGB.

    Returns:
        float32 (H, W, 2) of (x, y) in pixels: how far each pixel of ``one`` has moved in ``other``. Zero where nothing
        within four pixels has changed, and everywhere in frames of less than 16 pixels' height or width.
    """
    import cv2

    changed = (one != other).reshape(*one.shape[:2], -1).any(axis=2)
    if min(one.shape[:2]) < _SMALLEST_SIDE or not changed.any():
        return np.zeros((*one.shape[:2], 2), np.float32)
    greys = [
        cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if frame.ndim == 3 else np.ascontiguousarray(frame)
        for frame in (one, other)
    ]
    # A new one each time: it would start from what it found in the pair before.
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*greys, None)
    # DIS smooths the motion of a face over its edge into the background. Video codecs repeat still blocks exactly.
    moving = cv2.dilate(changed.astype(np.uint8), np.ones((2 * _STILL_REACH + 1,) * 2, np.uint8))
    return flow * moving[..., None]


def frames_needed(flow, longest_step=1.0):
    """How many frames in between make no step longer than ``longest_step`` pixels, from 0 to MOST_BETWEEN.

    Args:
        flow: as ``optical_flow`` gives it.
    """
    motion = float(np.percentile(np.hypot(*np.moveaxis(flow, 2, 0)), _PERCENTILE))
    return min(MOST_BETWEEN, max(0, math.ceil(motion / longest_step) - 1))


class _Pair:
    """Two frames, and what is between them."""

    def __init__(self, one, other, forward, backward):
        self._one = _Side(one, forward, backward)
        self._other = _Side(other, backward, forward)

    def levels_at(self, time):
        """The frame in between, float32 in grey levels 0 to 255, at a time above 0 and below 1."""
        first, first_trust = self._one.at(time)
        second, second_trust = self._other.at(1 - time)
        first_weight, second_weight = (1 - time) * first_trust, time * second_trust
        share = second_weight / (first_weight + second_weight)
        if first.ndim == 3:
            share = share[..., None]
        return first + share * (second - first)


class _Side:
    """One of two frames, warped towards the other.

    What is at x after a part ``time`` of the way was at x0 = x - time * flow(x0) in this frame. Two things speak
    against the pixel there. No x0 solves the equation: something is being uncovered that this frame does not show.
    Or the flow from x0 there and back does not return to x0: this frame shows something that the other one covers,
    and which may be covered at x by now. The first rules the pixel out, the second leaves it as the last resort.
    """

    def __init__(self, frame, flow, flow_back):
        import cv2

        height, width = frame.shape[:2]
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        self._grid = np.stack([x, y], axis=-1)
        self._frame, self._flow = frame.astype(np.float32), flow
        returned = flow + _sampled(flow_back, self._grid + flow, cv2.INTER_LINEAR)
        self._agreement = np.exp(-((np.hypot(*np.moveaxis(returned, 2, 0)) / _DISAGREEMENT) ** 2))

    def at(self, time):
        """(levels as ``_Pair.levels_at``, float32 (H, W) trust above 0)."""
        import cv2

        flow = self._flow
        for _ in range(_ITERATIONS):
            places = self._grid - time * flow
            flow, before = _sampled(self._flow, places, cv2.INTER_LINEAR), flow
        unsolved = time * np.hypot(*np.moveaxis(flow - before, 2, 0))
        agreement = _sampled(self._agreement, places, cv2.INTER_LINEAR)
        trust = np.exp(-((unsolved / (_DISAGREEMENT / 2)) ** 2)) * (agreement + _LEAST_TRUST) + 1e-6
        # Cubic: linear interpolation would blur what lies between pixels.
        levels = np.clip(_sampled(self._frame, places, cv2.INTER_CUBIC), 0, 255)
        return levels, trust


def _sampled(array, places, interpolation):
    import cv2

    return cv2.remap(array, places, None, interpolation, borderMode=cv2.BORDER_REPLICATE)
