"""Colours of a video's frames, against the equations of ITU-T H.273."""

from fractions import Fraction

import numpy as np
import pytest

from deblur_zoo.restoration.clip_colours import pixel_format
from tests import written_clips as clips

BT709, BT601, BT2020 = (0.2126, 0.0722), (0.299, 0.114), (0.2627, 0.0593)
COLOURS = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 0, 0], [255, 255, 255], [200, 120, 90], [40, 60, 90]],
    np.uint8,
)


def bars(width=64, height=16):
    return np.repeat(np.repeat(COLOURS[None], height, 0), width // len(COLOURS), 1)


def first_frame(path):
    return clips.decoded(path)[0][1]


@pytest.mark.parametrize("layout", ["yuv444p", "yuv420p"])
@pytest.mark.parametrize(
    "number, luma, full, depth",
    [
        (1, BT709, False, 8),
        (1, BT709, True, 8),
        (6, BT601, False, 8),
        (5, BT601, True, 8),
        (9, BT2020, False, 10),
        (1, BT709, False, 10),
    ],
)
def test_known_colours_become_rgb_and_a_change_becomes_theirs(tmp_path, layout, number, luma, full, depth):
    planes = clips.from_rgb(bars(), luma, full, depth)
    planes = planes if layout == "yuv444p" else clips.subsampled(planes)
    name = layout + ("10le" if depth == 10 else "")
    tags = {"colorspace": number, "color_range": 2 if full else 1}
    frame = first_frame(clips.write(tmp_path / "a.mkv", [planes], format=name, codec="ffv1", **tags))
    format = pixel_format(frame, None)
    assert (format.name, format.depth, format.tagged_matrix, format.tagged_range) == (name, depth, number, 1 + full)
    rgb = format.rgb(frame)
    assert rgb.dtype == (np.uint8 if depth == 8 else np.uint16)
    # The middle of each bar: chroma of 4:2:0 is interpolated at its edges. A code value is up to 1.8 grey levels.
    middles = rgb[8, 4::8].astype(float) / np.iinfo(rgb.dtype).max * 255
    assert np.abs(middles - COLOURS).max() < (2.5 if depth == 8 else 1)
    assert np.abs(format.rgb(frame, depth=8)[8, 4::8].astype(float) - COLOURS).max() < 2.5
    kept = format.planes(frame)
    assert all(np.array_equal(a, b) for a, b in zip(kept, planes, strict=True))
    # Halfway to grey, as an independent conversion has it.
    target = (COLOURS.astype(float) + 128) / 2
    change = np.repeat(np.repeat(((target - COLOURS) / 255)[None], 16, 0), 8, 1).astype(np.float32)
    format.add(kept, (slice(0, 16), slice(0, 64)), change)
    exact = clips.from_rgb(np.repeat(np.repeat(target[None], 16, 0), 8, 1), luma, full, depth)
    exact = exact if layout == "yuv444p" else clips.subsampled(exact)
    for one, other in zip(kept, exact, strict=True):
        # Both are rounded.
        assert np.abs(one.astype(int) - other).max() <= 1


def test_a_change_of_nothing_changes_nothing_and_a_small_one_stays_in_its_place(tmp_path):
    planes = clips.subsampled(clips.from_rgb(bars()))
    frame = first_frame(clips.write(tmp_path / "a.mkv", [planes], codec="ffv1"))
    format = pixel_format(frame, None)
    kept = format.planes(frame)
    format.add(kept, (slice(3, 9), slice(5, 31)), np.zeros((6, 26, 3), np.float32))
    assert all(np.array_equal(a, b) for a, b in zip(kept, planes, strict=True))
    format.add(kept, (slice(3, 9), slice(5, 31)), np.full((6, 26, 3), -0.2, np.float32))
    changed = np.argwhere(kept[0] != planes[0])
    assert changed.min(axis=0).tolist() == [3, 5] and changed.max(axis=0).tolist() == [8, 30]
    # Grey: no chroma.
    assert all(np.array_equal(a, b) for a, b in zip(kept[1:], planes[1:], strict=True))


@pytest.mark.parametrize("height, luma", [(480, BT601), (720, BT709)])
def test_untagged_colours_are_those_that_players_assume(tmp_path, height, luma):
    planes = clips.from_rgb(bars(64, height), luma)
    frame = first_frame(clips.write(tmp_path / "a.mkv", [planes], format="yuv444p", codec="ffv1"))
    format = pixel_format(frame, None)
    assert format.tagged_matrix == 2
    assert np.abs(format.rgb(frame)[8, 4::8].astype(int) - COLOURS).max() < 3


@pytest.mark.parametrize("degrees, turns", [(0, 0), (90, 1), (180, 2), (-90, 3)])
@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p"])
def test_turned_frames_are_seen_upright_and_changed_where_they_are(tmp_path, degrees, turns, layout):
    pixels = np.full((32, 48, 3), 100, np.uint8)
    pixels[:8, :8] = 220
    planes = clips.from_rgb(pixels)
    planes = clips.subsampled(planes) if layout == "yuv420p" else [planes[0], *[p[:, ::2].copy() for p in planes[1:]]]
    frame = first_frame(clips.write(tmp_path / "a.mp4", [planes], format=layout, rotation=degrees))
    format = pixel_format(frame, None)
    assert format.quarter_turns == turns
    upright = format.rgb(frame)
    assert format.size == (upright.shape[1], upright.shape[0])
    place = np.argwhere(upright[..., 0] > 160)
    top, left = place.min(axis=0)
    # Counterclockwise, the upper left corner goes to the lower left, the lower right, the upper right.
    height, width = upright.shape[:2]
    expected = [(0, 0), (height - 8, 0), (height - 8, width - 8), (0, width - 8)]
    assert (top, left) == expected[turns]
    kept = format.planes(frame)
    format.add(kept, (slice(top, top + 8), slice(left, left + 8)), np.full((8, 8, 3), -0.3, np.float32))
    changed = np.argwhere(kept[0] != planes[0])
    assert changed.min(axis=0).tolist() == [0, 0] and changed.max(axis=0).tolist() == [7, 7] and len(changed) == 64


def test_pixels_that_are_not_square_are_seen_square(tmp_path):
    planes = clips.subsampled(clips.from_rgb(bars()))
    path = clips.write(tmp_path / "a.mp4", [planes], aspect=Fraction(2, 1))
    frame = first_frame(path)
    format = pixel_format(frame, Fraction(2, 1))
    assert format.size == (128, 16) and format.rgb(frame).shape == (16, 128, 3)
    kept = format.planes(frame)
    format.add(kept, (slice(4, 8), slice(32, 64)), np.full((4, 32, 3), 0.1, np.float32))
    changed = np.argwhere(kept[0] != planes[0])
    assert changed.min(axis=0).tolist() == [4, 16] and changed.max(axis=0).tolist() == [7, 31]
    assert pixel_format(frame, Fraction(1, 2)).size == (64, 32)


@pytest.mark.parametrize("name", ["bgr0", "gbrp", "gray", "yuvj420p", "nv12", "yuv444p12le"])
def test_other_kinds_of_frames_are_converted_once(tmp_path, name):
    import av

    source = av.VideoFrame.from_ndarray(bars(), format="rgb24")
    source.colorspace = 1
    frame = source.reformat(format=name, dst_colorspace=1)
    format = pixel_format(frame, None)
    assert format.depth == (10 if "12le" in name else 8)
    planes = format.planes(frame)
    again = format.rgb(format.frame(planes))[8, 4::8].astype(float)
    again = again / (257 if format.depth == 10 else 1)
    expected = COLOURS.astype(float)
    if name == "gray":
        expected = frame.to_ndarray()[8, 4::8, None].astype(float)
    assert np.abs(again - expected).max() < 3


def test_frames_with_odd_sides(tmp_path):
    import av

    frame = av.VideoFrame.from_ndarray(np.full((15, 17, 3), 90, np.uint8), format="rgb24").reformat(format="yuv420p")
    format = pixel_format(frame, None)
    assert format.name == "yuv444p" and format.rgb(frame).shape == (15, 17, 3)


def test_what_is_not_supported():
    import av

    with pytest.raises(ValueError, match="transparency"):
        pixel_format(av.VideoFrame(16, 16, "yuva420p"), None)
    frame = av.VideoFrame(16, 16, "yuv420p")
    frame.colorspace = 8
    with pytest.raises(ValueError, match=r"colours of a kind .* 8 of ITU-T H.273"):
        pixel_format(frame, None)
