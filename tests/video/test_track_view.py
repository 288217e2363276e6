"""Crops from the kept rectangle of a frame equal those from the whole frame."""

import numpy as np
import pytest

from deblur_zoo.faces.alignment import canonical_points
from deblur_zoo.faces.warp import align
from deblur_zoo.video.track_view import TrackView, face_region, part_boxes
from deblur_zoo.video.tracking import Track
from tests import rendered_clips as clips

# In the middle; and so far to the upper left that crops reach beyond the frame, where it is mirrored.
PATHS = {"inside": [(-12, 8), (0, 12), (14, 9)], "border": [(-50, -40), (-55, -45)]}


@pytest.mark.parametrize("place", PATHS)
@pytest.mark.parametrize(("size", "margin"), [(64, 8), (40, 0)])
def test_crops_of_the_view_are_crops_of_the_frame(place, size, margin):
    path = PATHS[place]
    track = Track(7, np.stack([clips.points_at(*xy) for xy in path]))
    frames = [clips.frame_at(*xy) for xy in path]
    view = TrackView(track, frames[0].shape, size, margin)
    for k, frame in enumerate(frames):
        seen = view.view(7 + k, frame)
        assert seen.number == 7 + k and seen.picture.base is None
        if place == "inside" and size == 40:
            # Smaller than the frame, which is its purpose.
            assert seen.picture.size < 0.9 * frame.size
        crop, matrix = align(seen.picture, seen.points, size, margin)
        expected, _ = align(frame, track.points[k], size, margin)
        difference = np.abs(crop.astype(int) - expected)
        # Of the same pixels; OpenCV rounds a coordinate to 1/32 pixel, which may fall on the other side.
        assert np.percentile(difference, 99) <= 1 and difference.max() <= 6
        assert seen.scale == pytest.approx(np.hypot(*matrix[:, 0]), rel=1e-3)


def test_a_large_face_is_shrunk_by_a_whole_factor():
    track = Track(0, clips.points_at(0, 10)[None])
    frame = clips.frame_at(0, 10)
    seen = TrackView(track, frame.shape, 12, 2).view(0, frame)
    # The eyes are 43 pixels apart, 0.31 * 12 = 3.72 in the crop: more than 11 times; shrunk by 5 they are 8.6.
    assert np.linalg.norm(seen.points[1] - seen.points[0]) == pytest.approx(43.05 / 5, rel=0.03)
    crop, _ = align(seen.picture, seen.points, 12, 2)
    expected, _ = align(frame, track.points[0], 12, 2)
    # Another grid of areas than the whole frame's: the same picture but for its finest detail.
    assert np.abs(crop.astype(int) - expected).mean() < 3
    np.testing.assert_allclose(seen.scale * (seen.points[1] - seen.points[0]), [3.72, 0.17], atol=0.25)


def test_part_boxes_by_hand():
    # At a size of 100 the eyes are 31 apart, at (34.5, 33.5) and (65.5, 33.5).
    boxes = part_boxes(canonical_points(100))
    np.testing.assert_allclose(boxes[0], [34.5 - 9.92, 33.5 - 5.58, 34.5 + 9.92, 33.5 + 5.58])
    np.testing.assert_allclose(boxes[1], boxes[0] + [31, 0, 31, 0])
    # Nose: half-way from between the eyes, (50, 33.5), to its tip, (50, 55). Mouth: about (50, 65).
    np.testing.assert_allclose(boxes[2], [50 - 7.75, 44.25 - 12.4, 50 + 7.75, 44.25 + 12.4])
    np.testing.assert_allclose(boxes[3], [50 - 16.12, 65 - 7.75, 50 + 16.12, 65 + 7.75])
    # They move and grow with the face.
    np.testing.assert_allclose(part_boxes(canonical_points(100) * 2 + 5), boxes * 2 + 5)


def test_face_region_by_hand():
    assert face_region(canonical_points(40) + (10, 5), (60, 70), 40) == (slice(5, 45, 1), slice(10, 50, 1))
    # Beyond the picture's border there is nothing to look at.
    assert face_region(canonical_points(40) + (10, -5), (30, 30), 40) == (slice(0, 30, 1), slice(10, 30, 1))
    # Of a face 2.5 times as large as the crop every second pixel.
    rows, columns = face_region(canonical_points(100), (200, 200), 40)
    assert rows.step == columns.step == 2 and rows.start == 0 and rows.stop in (98, 99, 100)
