"""The light between two frames of a video, with the frames that the camera did not take filled in by optical flow.

A face that moves by several pixels from one frame to the next is seen several times over in the average of the two, where
a shutter that stays open would have drawn it out. So frames are made in between until no step is longer than a pixel.

The flow is DIS (Kroeger et al. 2016, ECCV, "Fast Optical Flow using Dense Inverse Search") in OpenCV's implementation,
forwards and backwards. A frame in between at time t is both neighbours, warped along the flow and blended with the weights
1 - t and t. Each neighbour counts only where it shows what is there at t: a background that the face is about to cover is
in the earlier frame, one that it has just left is in the later one. ``_Side`` says how that is known.
"""

import math

import numpy as np

from deblur_zoo.blur.frame_sum import FrameSum, light_of_levels

# Pixels of the frames as they are averaged. A longer step shows as a doubled edge.
LONGEST_STEP = 1.0
# Frames in between, at most: 16 pixels of motion between two frames, twice what the pairs' conditions let a face move.
MOST_BETWEEN = 15
# The motion that decides is the one that this percentage of pixels does not exceed: lips and lids are a few per cent of a
# face, while a handful of wild vectors are no reason to make more frames.
_PERCENTILE = 99.5
# DIS needs some pyramid levels of its patches of 8 pixels; smaller frames are not interpolated.
_SMALLEST_SIDE = 16
# Solving x0 + t * flow(x0) = x by fixed-point iteration: flow that is smooth converges in two or three.
_ITERATIONS = 4
# Flow forwards and backwards that differ by this many pixels halve the trust, roughly; what has no other source still
# gets a share.
_DISAGREEMENT, _LEAST_TRUST = 1.0, 0.01
# Half the side of the neighbourhood that must be the same in both frames for a pixel to keep still.
_STILL_REACH = 4


def light_between(one, other, response="gamma"):
    """The light that falls on the sensor from one frame to the next, as an average.

    Args:
        one, other: uint8 (H, W) or (H, W, 3), successive frames in the order of time.
        response: as ``FrameSum``.

    Returns:
        int64 of the same shape in the unit of ``FrameSum``: the mean of the frames and those in between by the trapezoid
        rule (the two ends count half). So every interval has the same weight in an exposure, whatever number of frames
        it took. Where the frames are equal it is their light, to the last bit.

    Raises:
        TypeError: arrays that are not uint8.
        ValueError: frames of two shapes, another response.
    """
    ends = FrameSum(response)
    ends.add(one)
    ends.add(other)
    one, other = np.asarray(one), np.asarray(other)
    flows = flow_both_ways(one, other)
    count = frames_needed(*flows)
    # Twice the sum, so that the halves of the ends are whole numbers.
    doubled = ends.total.copy()
    if count:
        pair = _Pair(one, other, *flows)
        for k in range(1, count + 1):
            doubled += 2 * light_of_levels(pair.levels_at(k / (count + 1)), response)
    parts = 2 * (count + 1)
    return (doubled + parts // 2) // parts


def flow_both_ways(one, other):
    """Dense optical flow between two frames, forwards and backwards.

    Args:
        one, other: uint8 (H, W) or (H, W, 3) RGB.

    Returns:
        Two float32 (H, W, 2) of (x, y) in pixels: where each pixel of ``one`` has gone in ``other``, and where each of
        ``other`` was in ``one``, as differences. Zero where nothing within four pixels has changed, and everywhere in
        frames of less than 16 pixels' height or width.
    """
    import cv2

    if min(one.shape[:2]) < _SMALLEST_SIDE:
        flow = np.zeros((*one.shape[:2], 2), np.float32)
        return flow, flow.copy()
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if frame.ndim == 3 else frame for frame in (one, other)]
    # One that is new each time: it would start from what the last pair has left.
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # Down to full resolution; the preset stops at half of it.
    method.setFinestScale(0)
    changed = (one != other).reshape(*one.shape[:2], -1).any(axis=2).astype(np.uint8)
    moving = cv2.dilate(changed, np.ones((2 * _STILL_REACH + 1,) * 2, np.uint8)).astype(np.float32)[..., None]
    # DIS smooths the motion of a face over its edge into the background. Video codecs repeat still blocks exactly.
    return method.calc(*greys, None) * moving, method.calc(*greys[::-1], None) * moving


def frames_needed(forward, backward):
    """How many frames in between make no step longer than LONGEST_STEP, from 0 to MOST_BETWEEN.

    Args:
        forward, backward: as ``flow_both_ways`` gives them.
    """
    motion = max(float(np.percentile(np.hypot(*np.moveaxis(flow, 2, 0)), _PERCENTILE)) for flow in (forward, backward))
    return min(MOST_BETWEEN, max(0, math.ceil(motion / LONGEST_STEP) - 1))


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

    What is at x after a part ``time`` of the way was at x0 = x - time * flow(x0) in this frame. Two things speak against
    the pixel there. No x0 solves the equation: here the other frame uncovers something that this one does not show. Or
    the flow from x0 there and back again does not return to x0: here this frame shows something that the other covers,
    and which may already be covered at x. The first rules the pixel out, the second leaves it as the last resort.
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
