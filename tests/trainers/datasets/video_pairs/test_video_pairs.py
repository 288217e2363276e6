"""Videos of a face whose motion is known become pairs; what is broken, faceless or still is named."""

import csv
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deblur_zoo.data.pair_store import load_pairs
from deblur_zoo.faces.acceptance import Rules
from deblur_zoo.faces.warp import align
from deblur_zoo.files.resumable_folder import REPORT, SETTINGS
from tests import rendered_clips as clips
from trainers.datasets.video_pairs.clip import Settings, check_settings, make_pairs
from trainers.datasets.video_pairs.folder import make_folder

ROOT = Path(__file__).resolve().parents[4]

# The window of the astronaut is small: a fifth of the crop may lie outside.
SMALL = Settings(size=40, margin=4, longest=9, least_quality=0, rules=Rules(minimum_inside=0.8))
# Two pixels a frame; the eyes are 43 apart, 12.4 in the crop: 0.58 pixels of it a frame, or 1.85 of one of 128.
PATH = [(2 * t - 20, 5 + t % 2) for t in range(24)]


def clip(path, places=PATH, **options):
    return clips.write_clip(path, [clips.frame_at(*place, **options) for place in places])


def pairs_of(video, tmp_path, settings=SMALL):
    shard = tmp_path / "shard.tfrecord"
    report = make_pairs(video, "clip", shard, settings, clips.stamp_detector)
    return report, load_pairs([shard]) if shard.exists() else None


@pytest.mark.parametrize("response", ["gamma", "identity"])
def test_a_pair_is_the_exact_average_in_the_middle_frames_alignment(response, tmp_path):
    settings = replace(SMALL, average="7", step=4, response=response, interpolate=False)
    report, store = pairs_of(clip(tmp_path / "a.avi"), tmp_path, settings)
    assert [name.rpartition("/")[2] for name in store.names] == [f"{m:06d}-7" for m in (3, 7, 11, 15, 19)]
    frames = np.stack([clips.frame_at(*place) for place in PATH]).astype(np.float64)
    for k, middle in enumerate((3, 7, 11, 15, 19)):
        members = frames[middle - 3 : middle + 4]
        mean = members.mean(axis=0) if response == "identity" else 255 * ((members / 255) ** 2.2).mean(0) ** (1 / 2.2)
        points = clips.points_at(*PATH[middle])
        for found, picture in ((store.blurred[k], mean), (store.sharp[k], frames[middle])):
            expected, _ = align(np.rint(picture).astype(np.uint8), points, 40, 4)
            difference = np.abs(found.astype(int) - expected)
            # Tracked points are a hundredth of a pixel off, and edges are steep.
            assert difference.mean() < 0.5 and np.percentile(difference, 99) <= 4
    assert (report["status"], report["pairs"], report["frames"], report["frames_used"]) == ("done", 5, 24, 23)
    assert report["dropped"] == {"end of the track": 1} and report["lengths"] == {"7": 5}


def test_variable_averages_stop_where_the_settings_say(tmp_path):
    video = clip(tmp_path / "a.avi")
    report, store = pairs_of(video, tmp_path)
    assert report["frames_used"] == 24 and not report["dropped"] and report["reversed"] > 0
    assert set(report["lengths"]) <= {"5", "7", "9"} and report["stops"]["longest"] > 0
    assert sum(report["lengths"].values()) == report["pairs"] == len(store)
    assert report["tracks"] == [{"first": 0, "last": 23, "ended": "end of the video"}]
    # No motion backwards of even a quarter of a pixel: the path goes up and down by one pixel from frame to frame.
    jitter = [(0, t % 2) for t in range(24)]
    report, _ = pairs_of(clip(tmp_path / "b.avi", jitter), tmp_path, replace(SMALL, tolerance=0.5))
    assert report["status"] == "skipped" and report["reason"] == "no pairs: motion reverses"
    assert not (tmp_path / "shard.tfrecord").exists()
    # Parts: after k frames the mouth has moved by 2 k pixels of 43 * 1.04, so 0.6 is left up to k = 8.
    for least, longest in ((0.5, 11), (0.6, 9), (0.7, 7)):
        settings = replace(SMALL, least_overlap=least, longest=21, reversed_pass=False)
        report, _ = pairs_of(video, tmp_path, settings)
        assert max(map(int, report["lengths"])) == longest and "parts do not overlap" in report["stops"]
    # 1.85 pixels of a crop of 128 a frame, and 0.9 up or down: 2.06.
    report, _ = pairs_of(video, tmp_path, replace(SMALL, largest_step=1.95))
    assert report["reason"] == "no pairs: motion too fast"
    assert pairs_of(video, tmp_path, replace(SMALL, largest_step=2.2))[0]["pairs"] > 3
    report, _ = pairs_of(video, tmp_path, replace(SMALL, least_quality=99))
    assert report["reason"] == "no pairs: average too unlike"
    report, _ = pairs_of(video, tmp_path, replace(SMALL, most_quality=1))
    assert report["reason"] == "no pairs: hardly any motion" and report["dropped"]["hardly any motion"] > 12


def test_cuts_and_gaps_are_between_averages(tmp_path):
    frames = [clips.frame_at(*place) for place in PATH[:10]] + [clips.noise_frame()] * 4
    frames += [clips.frame_at(*place) for place in PATH[:12]]
    report, store = pairs_of(clips.write_clip(tmp_path / "a.avi", frames), tmp_path)
    assert [(t["first"], t["last"], t["ended"]) for t in report["tracks"]] == [
        (0, 9, "scene cut"), (14, 25, "end of the video"),
    ]  # fmt: skip
    assert report["dropped"]["no face found"] == 4
    for name in store.names:
        middle, length = (int(part) for part in name.rpartition("/")[2].removesuffix("-reversed").split("-"))
        first, last = middle - length // 2, middle + length // 2
        assert (first >= 0 and last <= 9) or (first >= 14 and last <= 25)


@pytest.fixture
def videos(tmp_path):
    """Two clips of a face, one in a sub-folder; one without; noise; a broken one; one cut short."""
    folder = tmp_path / "videos"
    clip(folder / "good.avi")
    clip(folder / "sub" / "good.avi", PATH[:12])
    clip(folder / "faceless.avi", face=clips.NO_FACE)
    clips.write_clip(folder / "noise.avi", [clips.noise_frame(k) for k in range(6)])
    whole = (folder / "good.avi").read_bytes()
    (folder / "broken.mp4").write_bytes(whole[:200])
    (folder / "short.avi").write_bytes(whole[: len(whole) * 3 // 4])
    (folder / "empty.mp4").write_bytes(b"")
    return folder


def tree(folder):
    """Everything that was written, without times."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def rows(out):
    with open(out / REPORT, newline="", encoding="utf-8") as file:
        return {row["video"]: row for row in csv.DictReader(file, delimiter="\t")}


def test_a_folder_and_what_its_report_says(videos, tmp_path):
    out = tmp_path / "out"
    reports = make_folder(videos, out, SMALL, clips.stamp_detector)
    found = {report["video"]: report for report in reports}
    status = {name: report["status"] for name, report in found.items()}
    assert status == {
        "good.avi": "done", "sub/good.avi": "done", "short.avi": "done", "faceless.avi": "skipped",
        "noise.avi": "skipped", "broken.mp4": "unreadable", "empty.mp4": "unreadable",
    }  # fmt: skip
    assert found["faceless.avi"]["reason"] == found["noise.avi"]["reason"] == "no pairs: no face found"
    assert found["broken.mp4"]["reason"] == "cannot be read: broken.mp4 cannot be read as a video."
    assert found["short.avi"]["reason"].startswith("damaged: ")
    table = rows(out)
    assert table.keys() == status.keys()
    assert table["good.avi"]["pairs"] == str(found["good.avi"]["pairs"]) and table["good.avi"]["frames"] == "24"
    assert table["noise.avi"]["dropped"] == "no face found: 6"
    for name, report in found.items():
        assert report["frames_used"] + sum(report["dropped"].values()) == report["frames"]
        assert (out / f"{name}.tfrecord").exists() == (report["pairs"] > 0)
        assert json.loads((out / f"{name}.json").read_text())["status"] == report["status"]
    assert len(load_pairs([out])) == sum(report["pairs"] for report in reports)


def test_finished_clips_are_passed_over_unless_they_have_changed(videos, tmp_path):
    out = tmp_path / "out"
    make_folder(videos, out, SMALL, clips.stamp_detector)
    before = tree(out)
    looked = []

    def detector(frame):
        looked.append(frame.shape)
        return clips.stamp_detector(frame)

    reports = make_folder(videos, out, SMALL, detector)
    # The unreadable ones are tried again, and need no detector.
    assert not looked and sum(bool(report.get("earlier")) for report in reports) == 5
    after = tree(out)
    assert {name for name in before if before[name] != after[name]} <= {"broken.mp4.json", "empty.mp4.json"}
    # Touched, it is the same; its shard gone, or another video of its name, it is made anew.
    os.utime(videos / "good.avi")
    (out / "short.avi.tfrecord").unlink()
    clip(videos / "sub" / "good.avi", PATH[3:20])
    reports = {report["video"]: report for report in make_folder(videos, out, SMALL, detector)}
    assert reports["good.avi"].get("earlier") and not reports["short.avi"].get("earlier")
    assert tree(out)["short.avi.tfrecord"] == before["short.avi.tfrecord"]
    assert reports["sub/good.avi"]["frames"] == 17 and looked


KILLED = """
import os, signal, sys
sys.path[:0] = [{root!r}, {tests!r}]
import test_video_pairs as test
from trainers.datasets.video_pairs import clip
count = 0
def detector(frame):
    global count
    count += 1
    if count == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return test.clips.stamp_detector(frame)
test.make_folder({videos!r}, {out!r}, test.SMALL, detector)
"""


def test_a_killed_run_goes_on_and_gives_the_same(videos, tmp_path):
    make_folder(videos, tmp_path / "whole", SMALL, clips.stamp_detector)
    code = KILLED.format(
        root=str(ROOT), tests=str(Path(__file__).parent), videos=str(videos), out=str(tmp_path / "out")
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=200)
    assert done.returncode == -signal.SIGKILL
    made = {path.name for path in (tmp_path / "out").glob("*.json")}
    assert "faceless.avi.json" in made and "good.avi.json" not in made
    (tmp_path / "out" / ".partial-0123-x.tfrecord").write_bytes(b"half a shard")
    make_folder(videos, tmp_path / "out", SMALL, clips.stamp_detector)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_pairs_of_other_settings_are_not_mixed_with_these(videos, tmp_path):
    out = tmp_path / "out"
    make_folder(videos, out, SMALL, clips.stamp_detector)
    before = tree(out)
    with pytest.raises(ValueError, match=r"other settings \(longest, response;"):
        make_folder(videos, out, replace(SMALL, response="identity", longest=11), clips.stamp_detector)
    assert tree(out) == before
    with pytest.raises(ValueError, match="did not write"):
        make_folder(videos, videos, SMALL, clips.stamp_detector)
    (out / SETTINGS).write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        make_folder(videos, out, SMALL, clips.stamp_detector)
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="videos in"):
        make_folder(tmp_path / "none", tmp_path / "new", SMALL, clips.stamp_detector)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"average": "8"}, "odd number of frames"),
        ({"average": "many"}, "'variable' or an odd number"),
        ({"step": 3}, "--step"),
        ({"shortest": 9, "longest": 7}, "shorter than the shortest"),
        ({"longest": 8}, "odd number"),
    ],
)
def test_settings_that_make_no_averages(changes, words):
    with pytest.raises(ValueError, match=words):
        check_settings(replace(SMALL, **changes))
    check_settings(SMALL)
    check_settings(replace(SMALL, average="21", step=30))


def test_memory_does_not_grow_with_the_clip(tmp_path):
    """The peak of what Python and NumPy hold, for a clip four times as long."""
    there_and_back = [(10 * np.sin(t / 6), 8 + 4 * np.cos(t / 5)) for t in range(240)]
    peaks, held = [], []
    for count in (60, 240):
        video = clip(tmp_path / f"{count}.avi", there_and_back[:count])
        # Once without: what is imported and cached the first time does not count.
        for traced in (False, True) if count == 60 else (True,):
            if traced:
                tracemalloc.start()
            report = make_pairs(video, "clip", tmp_path / "shard.tfrecord", SMALL, clips.stamp_detector)
            if traced:
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
        held.append(report["most_frames_held"])
    frame = clips.HEIGHT * clips.WIDTH * 3
    assert report["pairs"] > 30
    # Points and counters of 180 more frames are 180 * 5 * 2 * 8 bytes, several times over.
    assert peaks[1] < peaks[0] + 2 * frame + 180 * 1000
    assert held[1] <= held[0] + 2 <= 2 * SMALL.longest


LONG = """
import resource, sys
sys.path[:0] = [{root!r}, {tests!r}]
import numpy as np
import test_video_pairs as test
from trainers.datasets.video_pairs.clip import make_pairs

places = [(12 * np.sin(t / 9), 8 + 4 * np.cos(t / 7)) for t in range({count})]
looks = iter(range(0, {count}, 5))

def detector(frame):
    # The codec does not keep what the frames say: the detector is asked at every fifth one.
    place = places[next(looks)]
    return test.clips.stamp_detector(test.clips.stamp(frame.copy(), *place))

report = make_pairs({video!r}, "clip", {shard!r}, test.SMALL, detector)
assert len(report["tracks"]) == 1 and report["frames"] == {count}, report
print(report["pairs"], report["most_frames_held"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_memory_is_flat_over_a_clip_of_ten_minutes(tmp_path):
    """The peak of the whole process, decoder and writer included: one minute against ten at 25 frames a second."""
    pairs, held, peaks = [], [], []
    for count in (1500, 15000):
        video = tmp_path / f"{count}.mp4"
        places = ((12 * np.sin(t / 9), 8 + 4 * np.cos(t / 7)) for t in range(count))
        clips.write_clip(video, (clips.frame_at(*place) for place in places), "mp4v")
        code = LONG.format(
            root=str(ROOT), tests=str(Path(__file__).parent), count=count, video=str(video),
            shard=str(tmp_path / "shard.tfrecord"),
        )  # fmt: skip
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=3000)
        assert done.returncode == 0, done.stderr
        for numbers, value in zip((pairs, held, peaks), done.stdout.split(), strict=True):
            numbers.append(int(value))
    print(pairs, held, peaks)
    assert pairs[1] > 8 * pairs[0] > 800 and max(held) <= 2 * SMALL.longest
    # 13,500 more frames are 1.5 GB. Their points, two bytes' worth of states and sets of numbers are a few MB.
    assert peaks[1] < peaks[0] + 25e6
