"""The light between two video frames, with missing frames interpolated along the optical flow.

If a face moves by several pixels between two frames, their average shows it twice, where an open shutter would have
smeared it. So frames are interpolated until no step is longer than about a pixel.

The flow is DIS (Kroeger et al. 2016, ECCV, "Fast Optical Flow using Dense Inverse Search") in OpenCV's implementation,
forwards and backwards. An interpolated frame at time t from 0 to 1 blends both neighbours, warped along the flow, with
the weights 1 - t and t. Each counts only where it shows what is visible at t: background about to be covered by the
face is in the earlier frame, background just uncovered in the later one. ``_Side`` explains how this is detected.
"""

import math

import cv2
import numpy as np

from deblur_zoo.video.frame_sum import FrameSum, light_of_levels

# Maximum number of interpolated frames: 16 steps. A pair's face moves by at most 8 pixels of a 128-pixel crop per
# frame.
MOST_BETWEEN = 15
# The decisive motion is this percentile over the pixels: lips and lids are a few per cent of a face, while a handful of
# outliers should not add frames.
_PERCENTILE = 99.5
# DIS needs some pyramid levels of its 8-pixel patches; smaller frames are not interpolated.
_SMALLEST_SIDE = 16
# Solving x0 + t * flow(x0) = x by fixed-point iteration: smooth flow converges in two or three.
_ITERATIONS = 3
# Forward and backward flows that miss each other by this many pixels lower the trust to 1 / e; pixels visible in
# neither frame still need a source.
_DISAGREEMENT, _LEAST_TRUST = 1.0, 0.01
# Half the side of the neighbourhood that must be identical in both frames for a pixel to count as still.
_STILL_REACH = 4


def light_between(one, other, response="gamma", longest_step=1.0):
    """The average light on the sensor from one frame to the next.

    Args:
        one, other: uint8 (H, W) or (H, W, 3) RGB, successive frames in chronological order.
        response: as ``FrameSum``.
        longest_step: frames are interpolated until no step is longer than this many pixels, above 0, but at most
            MOST_BETWEEN of them; a longer step shows as a doubled edge.

    Returns:
        int64 of the same shape in the unit of ``FrameSum``: the mean of the original and interpolated frames by the
        trapezoid rule (the two ends count half). So every interval has the same weight in an exposure, however many
        frames were interpolated. Still areas are the mean of the two frames.

    Raises:
        TypeError: arrays that are not uint8.
        ValueError: frames of two shapes, another response, a step of 0 or less.
    """
    if not longest_step > 0:
        raise ValueError(f"The longest step must be above 0 pixels, got {longest_step}.")
    ends = FrameSum(response)
    ends.add(one)
    ends.add(other)
    one, other = np.asarray(one), np.asarray(other)
    forward = optical_flow(one, other)
    count = frames_needed(forward, longest_step)
    # Twice the sum, so that the halves of the ends are integers.
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
        float32 (H, W, 2) of (x, y) in pixels: how far each pixel of ``one`` has moved in ``other``. Zero if nothing
        within four pixels has changed, and everywhere in frames of less than 16 pixels' height or width.
    """
    changed = (one != other).reshape(*one.shape[:2], -1).any(axis=2)
    if min(one.shape[:2]) < _SMALLEST_SIDE or not changed.any():
        return np.zeros((*one.shape[:2], 2), np.float32)
    greys = [
        cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if frame.ndim == 3 else np.ascontiguousarray(frame)
        for frame in (one, other)
    ]
    # A new one each time: it would otherwise start from its previous result.
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*greys, None)
    # DIS smooths a face's motion across its edge into the background. Video codecs repeat still blocks exactly.
    moving = cv2.dilate(changed.astype(np.uint8), np.ones((2 * _STILL_REACH + 1,) * 2, np.uint8))
    return flow * moving[..., None]


def frames_needed(flow, longest_step=1.0):
    """Number of interpolated frames after which no step exceeds ``longest_step`` pixels, from 0 to MOST_BETWEEN.

    Args:
        flow: as from ``optical_flow``.
    """
    motion = float(np.percentile(np.hypot(*np.moveaxis(flow, 2, 0)), _PERCENTILE))
    return min(MOST_BETWEEN, max(0, math.ceil(motion / longest_step) - 1))


class _Pair:
    """Two frames and the flows between them."""

    def __init__(self, one, other, forward, backward):
        self._one = _Side(one, forward, backward)
        self._other = _Side(other, backward, forward)

    def levels_at(self, time):
        """The interpolated frame, float32 in grey levels 0 to 255, at a time above 0 and below 1."""
        first, first_trust = self._one.at(time)
        second, second_trust = self._other.at(1 - time)
        first_weight, second_weight = (1 - time) * first_trust, time * second_trust
        share = second_weight / (first_weight + second_weight)
        if first.ndim == 3:
            share = share[..., None]
        return first + share * (second - first)


class _Side:
    """One of two frames, warped towards the other.

    The content of x after a fraction ``time`` of the way was at x0 = x - time * flow(x0) in this frame. A pixel is not
    trusted in two cases. Either no x0 solves the equation: something is being uncovered that this frame does not show.
    Or the flow from x0 there and back does not return to x0: this frame shows something that the other one covers, and
    which may already be covered at x. The first rules the pixel out, the second makes it a last resort.
    """

    def __init__(self, frame, flow, flow_back):
        height, width = frame.shape[:2]
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        self._grid = np.stack([x, y], axis=-1)
        self._frame, self._flow = frame.astype(np.float32), flow
        returned = flow + _sampled(flow_back, self._grid + flow, cv2.INTER_LINEAR)
        self._agreement = np.exp(-((np.hypot(*np.moveaxis(returned, 2, 0)) / _DISAGREEMENT) ** 2))

    def at(self, time):
        """(levels as ``_Pair.levels_at``, float32 (H, W) trust above 0)."""
        flow = self._flow
        for _ in range(_ITERATIONS):
            places = self._grid - time * flow
            flow, before = _sampled(self._flow, places, cv2.INTER_LINEAR), flow
        unsolved = time * np.hypot(*np.moveaxis(flow - before, 2, 0))
        agreement = _sampled(self._agreement, places, cv2.INTER_LINEAR)
        trust = np.exp(-((unsolved / (_DISAGREEMENT / 2)) ** 2)) * (agreement + _LEAST_TRUST) + 1e-6
        # Cubic: linear interpolation would blur positions between pixels.
        levels = np.clip(_sampled(self._frame, places, cv2.INTER_CUBIC), 0, 255)
        return levels, trust


def _sampled(array, places, interpolation):
    return cv2.remap(array, places, None, interpolation, borderMode=cv2.BORDER_REPLICATE)
