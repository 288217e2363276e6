"""Tracking a face along a known path: between detected frames, across cuts, gaps and wrong detections."""

import math

import numpy as np
import pytest

from deblur_zoo.faces.acceptance import Rules
from deblur_zoo.faces.detection import Face
from deblur_zoo.video import tracking
from deblur_zoo.video.tracking import ANOTHER_FACE, NO_FACE, track_faces
from tests import rendered_clips as clips

frame_at, points_at = clips.frame_at, clips.points_at


def follow(frames, **options):
    looked = []

    def detector(frame):
        looked.append(True)
        return clips.stamp_detector(frame)

    found = track_faces(iter(frames), options.pop("detector", detector), size=64, **options)
    assert found.frames == len(frames)
    covered = sum(len(track.points) for track in found.tracks)
    assert covered + sum(found.dropped.values()) == len(frames)
    return found, len(looked)


def test_between_detections_the_points_follow_the_picture():
    # Back and forth within 12 frames: a straight line over every sixth frame would not see it.
    path = [(12 * math.sin(2 * math.pi * t / 12), 5 * math.cos(2 * math.pi * t / 12)) for t in range(31)]
    found, looked = follow([frame_at(*place) for place in path], every=6)
    (track,) = found.tracks
    assert (track.first, track.last, track.ended) == (0, 30, "end of the video") and looked == 6
    truth = np.stack([points_at(*place) for place in path])
    error = np.linalg.norm(track.points - truth, axis=2).max(axis=1)
    # A tenth of a pixel is what optical flow comes to on a picture that is shifted; the detector says hundredths.
    assert error.max() < 0.25 and error[::6].max() < 0.01
    lines = np.stack([np.interp(range(31), range(0, 31, 6), truth[::6, 0, axis]) for axis in (0, 1)], axis=1)
    assert np.linalg.norm(lines - truth[:, 0], axis=1).max() > 5


def test_large_frames_are_followed_at_a_smaller_size(monkeypatch):
    monkeypatch.setattr(tracking, "FLOW_SIDE", 100)
    path = [(12 * math.sin(2 * math.pi * t / 12), 5) for t in range(13)]
    (track,) = follow([frame_at(*place) for place in path], every=6)[0].tracks
    truth = np.stack([points_at(*place) for place in path])
    # Half the size: twice the error.
    assert np.linalg.norm(track.points - truth, axis=2).max() < 0.5


def test_an_error_that_has_come_together_is_spread_over_the_frames_between():
    # The picture stands still and the detector says that the face moves by 0.6 pixels a frame.
    frames = [frame_at(0, 0, shown=(0.6 * t, 0)) for t in range(11)]
    (track,) = follow(frames, every=5)[0].tracks
    expected = np.stack([points_at(0.6 * t, 0) for t in range(11)])
    np.testing.assert_allclose(track.points, expected, atol=0.05)


def test_a_cut_ends_a_track_at_its_last_frame():
    frames = [frame_at(t, 0) for t in range(8)] + [clips.noise_frame(t // 4) for t in range(7)]
    frames += [frame_at(-20, 10 + t) for t in range(6)]
    found, looked = follow(frames, every=5)
    assert [(t.first, t.last, t.ended) for t in found.tracks] == [(0, 7, "scene cut"), (15, 20, "end of the video")]
    assert found.dropped == {NO_FACE: 7}
    np.testing.assert_allclose(found.tracks[0].points[7], points_at(7, 0), atol=0.3)
    np.testing.assert_allclose(found.tracks[1].points[0], points_at(-20, 10), atol=0.01)
    # Frames 0, 5, 8 (the cut), 12 (noise to noise is a cut too), 15 and 20: the search goes on from each of them.
    assert looked == 6


def test_a_pan_is_no_cut():
    frames = [frame_at(9 * t - 40, 0) for t in range(10)]
    found, _ = follow(frames, every=3)
    assert [(track.first, track.last) for track in found.tracks] == [(0, 9)]


def test_a_face_that_is_not_found_ends_a_track_where_it_was_seen_last():
    faces = [clips.SURE] * 6 + [clips.NO_FACE] * 9 + [clips.SURE] * 7
    found, _ = follow([frame_at(0.5 * t, 0, face) for t, face in enumerate(faces)], every=4)
    # Seen in 0 and 4, not in 8 and 12, again in 16.
    assert [(t.first, t.last, t.ended) for t in found.tracks] == [(0, 4, NO_FACE), (16, 21, "end of the video")]
    assert found.dropped == {NO_FACE: 11}


def test_a_face_elsewhere_is_another_face():
    # The picture stands still; from frame 6 on the detector sees a face half the eyes' distance away.
    frames = [frame_at(0, 0, shown=(0, 0) if t < 6 else (22, 0)) for t in range(12)]
    found, _ = follow(frames, every=4)
    assert [(t.first, t.last, t.ended) for t in found.tracks] == [(0, 4, ANOTHER_FACE), (8, 11, "end of the video")]
    assert found.dropped == {ANOTHER_FACE: 3}
    # A tenth of it is an error.
    frames = [frame_at(0, 0, shown=(0, 0) if t < 6 else (4, 0)) for t in range(12)]
    assert len(follow(frames, every=4)[0].tracks) == 1


def test_an_uncertain_face_begins_no_track_but_goes_on_with_one():
    def clip(faces):
        return [frame_at(0, 0, face) for face in faces]

    begins, _ = follow(clip([clips.UNSURE] * 5 + [clips.SURE] * 5), every=5)
    assert [(t.first, t.last) for t in begins.tracks] == [(5, 9)] and begins.dropped == {"uncertain face": 5}
    goes_on, _ = follow(clip([clips.SURE] * 5 + [clips.UNSURE] * 5), every=5)
    assert [(t.first, t.last) for t in goes_on.tracks] == [(0, 9)]


def test_faces_that_break_a_rule_are_dropped_by_its_name():
    frames = [frame_at(0, 0)] * 6
    found, _ = follow(frames, rules=Rules(maximum_enlargement=0.2))
    assert not found.tracks and found.dropped == {"face too small": 6}


def test_of_several_faces_the_followed_one_is_taken():
    def detector(frame):
        (face,) = clips.stamp_detector(frame)
        larger = Face(face.box * 2, (face.points - 40) * 2, 0.99)
        calls.append(True)
        # The larger face appears after the first look.
        return [larger, face] if len(calls) > 1 else [face]

    calls = []
    found, _ = follow([frame_at(t, 0) for t in range(9)], detector=detector, every=2)
    (track,) = found.tracks
    np.testing.assert_allclose(track.points, np.stack([points_at(t, 0) for t in range(9)]), atol=0.3)


def test_refusals():
    with pytest.raises(ValueError, match="got 0"):
        track_faces([], clips.stamp_detector, every=0)
