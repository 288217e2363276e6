"""Following every face of rendered clips along known paths."""

import math

import numpy as np
import pytest

from deblur_zoo.faces.detection import Face
from deblur_zoo.video.face_tracks import FaceTracker
from tests import rendered_clips as clips

frame_at, points_at = clips.frame_at, clips.points_at


def follow(frames, every, detector=clips.stamp_detector):
    """The tracks in their order, and the numbers of the frames in which the detector looked."""
    taken, looked = [], []

    def watched(frame):
        looked.append(len(taken))
        return detector(frame)

    tracker = FaceTracker(watched, every)
    for frame in frames:
        taken.append(tracker.take(frame))
    return sorted(tracker.finish().values(), key=lambda track: track.first), looked


def errors(track, path):
    truth = np.stack([points_at(*path[number]) for number in range(track.first, track.last + 1)])
    return np.linalg.norm(track.points - truth, axis=2).max(axis=1)


def test_between_detections_the_points_follow_the_picture():
    path = [(12 * math.sin(2 * math.pi * t / 12), 5 * math.cos(2 * math.pi * t / 12)) for t in range(31)]
    (track,), looked = follow([frame_at(*place) for place in path], every=10)
    assert (track.first, track.last, track.starts_with_shot, track.ends_with_shot) == (0, 30, True, True)
    assert looked == [0, 10, 20, 30]
    # Optical flow errs by a tenth of a pixel a few times in a row.
    assert errors(track, path).max() < 0.5


def test_jitter_of_the_detector_is_smoothed():
    random = np.random.default_rng(0)
    shown = [tuple(random.normal(0, 1.5, 2)) for _ in range(41)]
    (track,), _ = follow([frame_at(0, 0, shown=place) for place in shown], every=4)
    moved = track.points.mean(axis=1)
    # The picture stands still. After the first detections, the points hardly move.
    detected = np.array(shown[8::4]).std(axis=0).mean()
    assert detected > 1 and moved[8:].std(axis=0).mean() < 0.5 * detected
    assert np.abs(np.diff(moved, axis=0)).max() < 0.5


def test_a_face_is_followed_back_from_where_it_was_detected_first():
    path = [(2 * t - 10, 0) for t in range(20)]
    frames = [frame_at(*place, face=clips.NO_FACE if t < 9 else clips.SURE) for t, place in enumerate(path)]
    (track,), _ = follow(frames, every=6)
    # Looks at 0, 6 and 12; followed back to the one before, where the detector saw nothing.
    assert (track.first, track.last, track.starts_with_shot) == (6, 19, False)
    assert errors(track, path).max() < 0.5


def test_a_missed_detection_is_bridged_and_a_face_that_stays_away_ends():
    missing = {4, 8}
    path = [(t, 0) for t in range(30)]
    frames = [frame_at(*p, face=clips.NO_FACE if t in missing else clips.SURE) for t, p in enumerate(path)]
    (track,), _ = follow(frames, every=4)
    assert (track.first, track.last) == (0, 29) and errors(track, path).max() < 0.6
    frames = [frame_at(*p, face=clips.NO_FACE if t > 9 else clips.SURE) for t, p in enumerate(path)]
    (track,), _ = follow(frames, every=4)
    # Seen at 8, missed at 12, 16 and 20.
    assert (track.first, track.last, track.ends_with_shot) == (0, 12, False)


def test_a_face_seen_once_is_none():
    frames = [frame_at(0, 0, face=clips.SURE if t == 4 else clips.NO_FACE) for t in range(30)]
    assert follow(frames, every=4)[0] == []


def test_a_cut_ends_the_tracks():
    frames = [frame_at(t, 0) for t in range(8)] + [clips.noise_frame(1)] * 5
    frames += [frame_at(-20, 10 + t) for t in range(6)]
    (one, other), looked = follow(frames, every=10)
    assert (one.first, one.last, one.ends_with_shot) == (0, 7, True)
    assert (other.first, other.last, other.starts_with_shot) == (13, 18, True)
    assert looked == [0, 8, 13]


def test_a_face_that_optical_flow_loses_is_looked_for_at_once():
    frames = [frame_at(0, 0) for _ in range(10)]
    covered = frame_at(0, 0, face=clips.NO_FACE)
    covered[20:] = np.random.default_rng(0).integers(100, 130, covered[20:].shape)
    (track,), looked = follow([*frames, *[covered] * 6], every=100)
    assert looked[:2] == [0, 10] and track.last == 9


def test_two_faces_keep_their_numbers():
    def both(frame):
        (face,) = clips.stamp_detector(frame)
        other = Face(face.box - 60, face.points - [60, 0], 0.95)
        return [face, other] if frame[0, 1].sum() % 2 else [other, face]

    path = [(t, 0.5 * t) for t in range(16)]
    tracker = FaceTracker(both, 5)
    seen = [tracker.take(frame_at(*place)) for place in path]
    found = tracker.finish()
    assert sorted(found) == [0, 1] and all(sorted(seen[t]) == [0, 1] for t in (0, 5, 10, 15)) and not seen[1]
    apart = [np.abs(np.diff(found[n].points.mean(axis=1), axis=0) - [1, 0.5]).max() for n in (0, 1)]
    assert max(apart) < 0.5


def test_every_is_at_least_one():
    with pytest.raises(ValueError, match="every 1 or more frames, got 0"):
        FaceTracker(clips.stamp_detector, 0)
