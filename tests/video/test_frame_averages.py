"""Averages of rendered clips whose motion is known: a square that moves over a background, or one grey level."""

import gc
import math
import weakref
from collections import Counter

import numpy as np
import pytest

from deblur_zoo.video.frame_averages import (
    END,
    LONGEST,
    STILL,
    VariableAverages,
    predefined_averages,
)
from deblur_zoo.video.frame_sequence import JUMP, OVERLAP, QUALITY, REVERSAL, Conditions, grow, overlap_of_boxes, psnr

SIDE = 20


class Frame:
    """A bright square of 20 pixels at (x, y), in whole pixels, over a background of stripes."""

    def __init__(self, x, y=5):
        self.x, self.y = int(x), int(y)

    @property
    def picture(self):
        picture = np.repeat(np.arange(120, dtype=np.uint8)[None] % 7 * 10, 40, axis=0)
        picture[self.y : self.y + SIDE, self.x : self.x + SIDE] = 230
        return picture

    @property
    def boxes(self):
        return [[self.x, self.y, self.x + SIDE, self.y + SIDE]]

    @property
    def points(self):
        return np.array([[self.x, self.y], [self.x + SIDE, self.y]], np.float64)


def picture(frame):
    return frame.picture


def overlap(first, last):
    return overlap_of_boxes(first.boxes, last.boxes)


def points(frame):
    return frame.points


BY_OVERLAP = Conditions(overlap=overlap, quality=None)


def exact_mean(frames, response):
    """Independent of the running sum: double precision over all frames at once."""
    levels = np.stack([frame.picture for frame in frames]).astype(np.float64)
    mean = levels.mean(axis=0) if response == "identity" else 255 * ((levels / 255) ** 2.2).mean(axis=0) ** (1 / 2.2)
    return np.rint(mean)


def ranges(averages, reversed=None):
    return [(a.first, a.last) for a in averages if reversed is None or a.reversed == reversed]


@pytest.mark.parametrize("response", ["gamma", "identity"])
@pytest.mark.parametrize("length", [7, 9, 11, 15, 21])
def test_predefined_averages_are_the_exact_means(length, response):
    frames = [Frame(2 * t, t % 7) for t in range(45)]
    averages = list(predefined_averages(iter(frames), length, response=response, image=picture))
    step = length // 2
    assert ranges(averages) == [(s, s + length - 1) for s in range(0, 45 - length + 1, step)]
    for average in averages:
        members = frames[average.first : average.last + 1]
        # Eq. (9): the truth is the middle frame.
        assert average.middle is members[length // 2] and average.length == length
        np.testing.assert_array_equal(average.blurred, exact_mean(members, response))


def test_predefined_averages_by_another_step():
    frames = [np.full((2, 2), t, np.uint8) for t in range(20)]
    averages = list(predefined_averages(frames, 7, step=5, response="identity"))
    assert ranges(averages) == [(0, 6), (5, 11), (10, 16)]
    assert [int(a.blurred[0, 0]) for a in averages] == [3, 8, 13]
    assert not list(predefined_averages(frames[:6], 7))


def test_overlap_of_boxes_by_hand():
    first = [[0, 0, 10, 10], [20, 0, 40, 10]]
    # 4 x 10 of 10 x 10, and 13 x 9 of 20 x 10.
    assert overlap_of_boxes(first, [[6, 0, 16, 10], [27, 1, 47, 11]]) == pytest.approx(0.585)
    # Apart in x alone, or in y alone, is apart.
    assert overlap_of_boxes(first, [[11, 0, 21, 10], [20, 11, 40, 21]]) == 0
    assert overlap_of_boxes(first, first) == 1


def test_psnr_by_hand():
    one = np.full((2, 2), 100, np.uint8)
    assert psnr(one, one + 5) == pytest.approx(20 * math.log10(51)) and psnr(one, one) == math.inf


@pytest.mark.parametrize(
    ("least", "length"),
    # 3 pixels a frame: frame k has (20 - 3 k) / 20 in common with the first, 0.1 at k = 6 and none at k = 7, so 7
    # frames; 0.25 at k = 5 is not more than 0.25, so 5. More than 0.3 holds up to k = 4 too; 0.5 up to k = 3.
    [(0.0, 7), (0.25, 5), (0.3, 5), (0.5, 3)],
)
def test_parts_that_do_not_overlap_end_a_sequence(least, length):
    conditions = Conditions(overlap=overlap, least_overlap=least, quality=None)
    sequence = grow([Frame(3 * t) for t in range(15)], conditions, 3, "gamma", picture)
    assert (sequence.length, sequence.stop) == (length, OVERLAP)
    np.testing.assert_array_equal(sequence.blurred, exact_mean([Frame(3 * t) for t in range(length)], "gamma"))


def quadratic(count):
    """One grey level t^2: over 2 m + 1 frames from the first on the mean is m (m + 1) / 3 above the middle, m^2."""
    return [np.full((4, 4), t * t, np.uint8) for t in range(count)]


@pytest.mark.parametrize(
    ("least", "length"),
    # The rounded differences are 2, 4, 7, 10 at 5, 7, 9 and 11 frames: 42.1, 36.1, 31.2, 28.1 dB.
    [(42.5, 0), (42.0, 5), (36.2, 5), (36.0, 7), (31.0, 9), (28.5, 9), (28.0, 11)],
)
def test_an_average_unlike_its_middle_ends_a_sequence(least, length):
    sequence = grow(quadratic(16)[:13], Conditions(least_quality=least), 5, "identity")
    if not length:
        assert sequence.blurred is None and sequence.stop == QUALITY
        return
    assert (sequence.length, sequence.stop) == (length, QUALITY)
    # Frames that were tried are taken away again.
    np.testing.assert_array_equal(sequence.blurred, np.rint(np.mean(quadratic(length), axis=0)))
    middle = length // 2
    error = round(middle * (middle + 1) / 3)
    assert sequence.quality == pytest.approx(20 * math.log10(255 / error))


def test_quality_is_measured_where_the_conditions_say():
    frames = quadratic(9)
    # The right half does not change.
    for frame in frames:
        frame[:, 2:] = 9
    left, right = (
        Conditions(least_quality=33, region=lambda _, s=s: (slice(None), s)) for s in (slice(2), slice(2, 4))
    )
    assert grow(frames, left, 5, "identity").length == 7
    assert grow(frames, right, 5, "identity").length == 9


BACK_AND_FORTH = [0, 2, 4, 6, 8, 6, 4, 2, 0, 2, 4]


@pytest.mark.parametrize(
    ("tolerance", "length"),
    # 8 at frame 4; at frame 5 it is 6, at frame 6 it is 4, at frame 7 it is 2. Odd lengths: 5, 6 -> 5, 7.
    [(0, 5), (1.5, 5), (2, 5), (3, 5), (4, 7), (6, 7)],
)
def test_motion_that_reverses_ends_a_sequence(tolerance, length):
    conditions = Conditions(quality=None, position=points, tolerance=tolerance)
    sequence = grow([Frame(x) for x in BACK_AND_FORTH], conditions, 3, "identity", picture)
    assert (sequence.length, sequence.stop) == (length, REVERSAL)


@pytest.mark.parametrize(("largest", "length"), [(2.9, 5), (3, 7), (8.9, 7), (9, 9)])
def test_a_jump_ends_a_sequence(largest, length):
    # Steps of 2, but for 3 from frame 5 to 6 and 9 from frame 7 to 8.
    xs = np.cumsum([0, 2, 2, 2, 2, 2, 3, 2, 9, 2])
    conditions = Conditions(quality=None, position=points, largest_step=largest)
    sequence = grow([Frame(x) for x in xs], conditions, 3, "identity", picture)
    # 6 frames make 5 and 8 make 7; of 10 frames 9 are taken, the next two being one.
    assert (sequence.length, sequence.stop) == (length, JUMP if length < 9 else "")


def test_a_circle_reverses_after_its_half_turn():
    angles = np.arange(24) * 2 * math.pi / 24
    frames = [Frame(round(50 + 15 * math.cos(a)), round(10 + 8 * math.sin(a))) for a in angles]
    sequence = grow(frames, Conditions(quality=None, position=points, tolerance=1), 3, "identity", picture)
    # Farthest at frame 12, 30 away; frames 13 and 14 are at (36, 8) and (37, 6): 29.07 and 28.28, below 30 - 1.
    assert [(frames[k].x, frames[k].y) for k in (0, 12, 13, 14)] == [(65, 10), (35, 10), (36, 8), (37, 6)]
    assert (sequence.length, sequence.stop) == (13, REVERSAL)


def test_steady_motion_forwards_and_backwards():
    # Each sequence is of 7 frames, as above; the next starts 3 frames on.
    frames = [Frame(3 * t) for t in range(20)]
    averager = VariableAverages(BY_OVERLAP, shortest=5, alike=0.8, image=picture)
    averages = list(averager(iter(frames)))
    forward = [(0, 6), (3, 9), (6, 12), (9, 15), (12, 18), (15, 19)]
    # Backwards the first that a condition ends, and not the clip's beginning, is 8 to 2; the last one starts at 19.
    backward = [(2, 8), (5, 11), (8, 14), (11, 17), (13, 19)]
    assert ranges(averages, False) == forward and ranges(averages, True) == backward
    assert [a.stop for a in averages if not a.reversed] == [OVERLAP] * 4 + [END] * 2
    for average in averages:
        np.testing.assert_array_equal(average.blurred, exact_mean(frames[average.first : average.last + 1], "gamma"))
        assert average.middle is frames[(average.first + average.last) // 2]
    assert averager.used == 20 and not averager.dropped
    # With (3, 9) and (6, 12) and so on they have 6 frames in common of 8: alike at 0.75 and below.
    assert not ranges(VariableAverages(BY_OVERLAP, alike=0.75, image=picture)(frames), True)
    assert ranges(VariableAverages(BY_OVERLAP, alike=0.75, image=picture)(frames), False) == forward
    assert ranges(VariableAverages(BY_OVERLAP, both_directions=False, image=picture)(frames)) == forward


def test_the_same_frames_in_both_passes_are_one_average():
    # x = t^2 / 2: 0 0 2 4 8 12 18 24 32 40 50 60 72 84; frames less than 20 apart overlap.
    frames = [Frame(t * t // 2) for t in range(14)]
    averager = VariableAverages(BY_OVERLAP, shortest=3, alike=1.0, image=picture)
    averages = list(averager(frames))
    # Backwards from 7, 8, 9 and 10 the sequences are 7 to 5, 8 to 6, 9 to 7 and 10 to 8 again.
    assert ranges(averages) == [(0, 6), (3, 5), (4, 6), (5, 7), (6, 8), (7, 9), (8, 10)]
    assert not any(average.reversed for average in averages)
    # Frame 11 has no three frames that overlap, and after 12 there are no three frames.
    assert averager.used == 11 and averager.dropped == {OVERLAP: 1, END: 2}


def test_a_face_that_keeps_still_has_no_motion():
    frames = [Frame(30) for _ in range(50)]
    still = VariableAverages(Conditions(most_quality=40), longest=11, image=picture)
    assert not list(still(frames)) and still.dropped == {STILL: 46, END: 4} and still.used == 0
    kept = list(VariableAverages(Conditions(), longest=11, both_directions=False, image=picture)(frames))
    assert ranges(kept)[:3] == [(0, 10), (5, 15), (10, 20)] and kept[0].stop == LONGEST


def test_every_frame_is_accounted_for():
    # Jumps of 30 pixels end any sequence; between them 3, 4 and 6 frames keep still, 5 are needed.
    xs = [0] * 3 + [30] * 4 + [60] * 6 + [90] * 2
    averager = VariableAverages(BY_OVERLAP, shortest=5, image=picture)
    averages = list(averager([Frame(x) for x in xs]))
    # Of 6 frames 5 make a sequence of odd length. The reversed one of the same frames is no other.
    assert ranges(averages) == [(7, 11)] and averages[0].stop == OVERLAP
    assert averager.used == 5 and averager.dropped == {OVERLAP: 8, END: 2}
    # A second stream is counted on top.
    list(averager([Frame(0)] * 4))
    assert averager.used == 5 and averager.dropped == {OVERLAP: 8, END: 6}


@pytest.mark.parametrize("seed", range(6))
def test_conditions_hold_in_every_sequence_and_end_it(seed):
    """Random walks, against conditions recomputed from all frames of each sequence."""
    generator = np.random.default_rng(seed)
    steps = np.cumsum(generator.normal(size=200)) * 1.5
    frames = [Frame(x) for x in 50 + 45 * np.sin(steps / 12)]
    conditions = Conditions(overlap, 0.2, psnr, 14.0, 45.0, None, points, 4.0)
    advance = 0.5 if seed < 3 else 0.1
    averager = VariableAverages(conditions, 5, 17, advance, image=picture, response="identity")
    averages = list(averager(iter(frames)))

    def reason(members):
        x = np.array([frame.x for frame in members], float)
        distance = np.abs(x - x[0])
        if (np.maximum(20 - distance, 0) / 20 <= 0.2).any():
            return OVERLAP
        if (distance < np.maximum.accumulate(distance) - 4).any():
            return REVERSAL
        return ""

    def quality(members):
        error = exact_mean(members, "identity") - members[len(members) // 2].picture
        return 10 * math.log10(255**2 / max(np.mean(error**2), 1e-9))

    used = np.zeros(200, bool)
    assert len(averages) > 20 and any(a.reversed for a in averages)
    for average in averages:
        used[average.first : average.last + 1] = True
        order = frames[average.first : average.last + 1][:: -1 if average.reversed else 1]
        assert not reason(order) and 5 <= average.length <= 17 and average.length % 2
        assert 14.0 <= quality(order) <= 45.0 and average.quality == pytest.approx(quality(order))
        np.testing.assert_array_equal(average.blurred, exact_mean(order, "identity"))
        if average.stop in (OVERLAP, REVERSAL, QUALITY):
            following = [average.first - k for k in (1, 2)] if average.reversed else [average.last + k for k in (1, 2)]
            longer = [order + [frames[k] for k in following[:count]] for count in (1, 2)]
            met = reason(longer[0]) or reason(longer[1]) or (QUALITY if quality(longer[1]) < 14.0 else "")
            assert met == average.stop
        else:
            assert average.stop == END or (average.stop == LONGEST and average.length == 17)
    assert averager.used == used.sum() and averager.used + sum(averager.dropped.values()) == 200
    pairs = [(a, b) for a in averages if a.reversed for b in averages if not b.reversed]
    for a, b in pairs:
        one, other = set(range(a.first, a.last + 1)), set(range(b.first, b.last + 1))
        assert len(one & other) / len(one | other) < 0.8


def test_a_long_stream_holds_few_frames():
    alive = Counter()

    def clip():
        for t in range(3000):
            frame = Frame(50 + 40 * math.sin(t / 15))
            alive["now"] += 1
            alive["most"] = max(alive["most"], alive["now"])
            weakref.finalize(frame, alive.subtract, ["now"])
            yield frame
            del frame

    averager = VariableAverages(BY_OVERLAP, longest=21, image=picture)
    count = 0
    for average in averager(clip()):
        count += 1
        del average
    gc.collect()
    # The longest sequence, the middle frames of reversed ones that wait, and the frame on its way.
    assert count > 200 and averager.most_held <= 21 + 21 and alive["most"] <= averager.most_held + 3
    assert alive["now"] <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shortest": 4}, "odd"),
        ({"shortest": 1}, "at least 3"),
        ({"longest": 8}, "got 8"),
        ({"shortest": 9, "longest": 7}, "longest .*7.*9"),
        ({"advance": 0}, "advance"),
        ({"alike": 1.5}, "alike"),
        ({"response": "log"}, "'log'"),
    ],
)
def test_refusals(arguments, words):
    with pytest.raises(ValueError, match=words):
        VariableAverages(**arguments)


def test_refusals_of_predefined_averages():
    with pytest.raises(ValueError, match="odd"):
        list(predefined_averages([], 8))
    with pytest.raises(ValueError, match="at least one frame"):
        list(predefined_averages([], 7, step=0))
