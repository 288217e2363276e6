import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deblur_zoo.video.video_file import list_videos, read_frames, read_info
from tests import rendered_clips as clips

ROOT = Path(__file__).parents[2]


def pictures(count, height=48, width=64):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.fixture
def clip(tmp_path):
    return clips.write_clip(tmp_path / "clip.avi", pictures(9))


def test_frames_come_back_in_order_as_rgb(clip):
    # FFV1 loses nothing.
    frames = list(read_frames(clip))
    assert [number for number, _ in frames] == list(range(9))
    np.testing.assert_array_equal(np.stack([frame for _, frame in frames]), pictures(9))


def test_unwanted_frames_are_passed_over(clip):
    frames = dict(read_frames(clip, wanted=lambda number: number in (2, 3, 7)))
    assert sorted(frames) == [2, 3, 7]
    np.testing.assert_array_equal(frames[7], pictures(9)[7])


def test_large_frames_are_shrunk(clip):
    cv2 = pytest.importorskip("cv2")
    frames = [frame for _, frame in read_frames(clip, longest_side=32)]
    assert len(frames) == 9 and frames[0].shape == (24, 32, 3)
    # Halved, area by area: the mean of four pixels, rounded.
    mean = pictures(1)[0].reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(frames[0] - mean).max() <= 0.5 and cv2
    assert next(read_frames(clip, longest_side=64))[1].shape == (48, 64, 3)


@pytest.mark.parametrize(("codec", "name"), [("MJPG", "clip.avi"), ("mp4v", "clip.mp4")])
def test_lossy_formats(codec, name, tmp_path):
    y, x = np.mgrid[:48, :64]
    smooth = [np.stack([x * 3, y * 4, x + 10 * k], axis=-1).astype(np.uint8) for k in range(5)]
    clip = clips.write_clip(tmp_path / name, smooth, codec, rate=30)
    info = read_info(clip)
    assert (info.frames, info.height, info.width) == (5, 48, 64) and info.frames_per_second == pytest.approx(30)
    frames = np.stack([frame for _, frame in read_frames(clip)]).astype(float)
    # Colours in their order, to the few levels that these codecs lose on a smooth picture.
    assert np.abs(frames - np.stack(smooth)).mean() < 4


def test_what_is_no_video(tmp_path, clip):
    for name, content in (("empty.mp4", b""), ("text.mp4", b"no video" * 99), ("cut.avi", clip.read_bytes()[:300])):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            next(read_frames(path))
        with pytest.raises(ValueError, match="cannot be read"):
            read_info(path)
    # Said once, by us; in a process of its own, since FFmpeg's messages are set up when the first video is opened.
    code = f"from deblur_zoo.video.video_file import read_info; read_info({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1 and not done.stderr.partition("Traceback")[0]
    with pytest.raises(FileNotFoundError, match="does not exist"):
        next(read_frames(tmp_path / "missing.mp4"))


def test_a_clip_cut_short_gives_its_beginning(tmp_path, clip):
    path = tmp_path / "short.avi"
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    frames = list(read_frames(path))
    assert 2 <= len(frames) < 9
    np.testing.assert_array_equal(frames[1][1], pictures(9)[1])


def test_list_videos(tmp_path):
    for name in ("b.mp4", "a/c.MOV", "a/notes.txt", ".hidden/d.mp4", "a/.e.mp4", "f.tfrecord"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.mp4").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in list_videos(tmp_path)] == ["a/c.MOV", "b.mp4"]
    with pytest.raises(FileNotFoundError):
        list_videos(tmp_path / "nothing")
    with pytest.raises(NotADirectoryError):
        list_videos(tmp_path / "b.mp4")
