"""The same clips on Apache Beam's local runner, two worker processes: what one process makes, file for file."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import rendered_clips as clips
from trainers.datasets.video_pairs.beam_jobs import ClipJob
from trainers.datasets.video_pairs.clip import Settings
from trainers.datasets.video_pairs.folder import make_folder

ROOT = Path(__file__).resolve().parents[4]
HERE = Path(__file__).parent
BEAM = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None, reason="Apache Beam is not installed: pip install '.[beam]'"
)
SMALL = Settings(size=40, margin=4, longest=7, least_quality=0, reversed_pass=False)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beam") / "videos"
    for k, name in enumerate(["a.avi", "b.avi", "more/c.avi", "more/d.avi"]):
        clips.write_clip(folder / name, [clips.frame_at(2 * t - 10, k + 5) for t in range(11)])
    clips.write_clip(folder / "noise.avi", [clips.noise_frame()] * 3)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def expected(videos):
    """What the plain command makes of them."""
    make_folder(videos, videos.parent / "plain", SMALL, clips.stamp_detector)
    return tree(videos.parent / "plain")


def tree(folder):
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: _without_times(name, content) for name, content in found.items()}


def _without_times(name, content):
    """A clip's report without the time of its video, which a copy does not keep."""
    if not name.endswith(".json") or name == "settings.json":
        return content
    report = json.loads(content)
    del report["file"]["mtime_ns"]
    return report


def run_job(videos, out, staged, *arguments):
    """Run the pipeline in a process of its own; the detector notes which processes have looked at which frames."""
    command = [sys.executable, str(HERE / "beam_job.py"), str(videos), str(out), str(int(staged)), *arguments]
    paths = [str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "LOOKS": str(out) + "-looks"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)


def looks(out):
    """Process ids of the detectors' looks."""
    path = Path(str(out) + "-looks")
    return path.read_text().split() if path.exists() else []


@BEAM
@pytest.mark.parametrize("staged", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in place", "on copies"])
def test_two_workers_make_what_one_process_makes(staged, videos, expected, tmp_path):
    out = tmp_path / "out"
    done = run_job(videos, out, staged, "--direct_num_workers=2")
    assert done.returncode == 0, done.stderr[-3000:]
    assert tree(out) == expected
    # Four clips with a face and one without, each looked at in one process; more than one had something to do.
    assert len(set(looks(out))) == 2
    if staged:
        # Again: nothing is left to do, and the report is the same.
        before = len(looks(out))
        again = run_job(videos, out, staged, "--direct_num_workers=2")
        assert again.returncode == 0, again.stderr[-3000:]
        assert len(looks(out)) == before and tree(out) == expected


@BEAM
@pytest.mark.slow
def test_it_goes_on_where_the_plain_command_stopped(videos, expected, tmp_path):
    out = tmp_path / "out"
    make_folder(videos, out, SMALL, clips.stamp_detector)
    (out / "a.avi.tfrecord").unlink()
    done = run_job(videos, out, False, "--direct_num_workers=1")
    assert done.returncode == 0, done.stderr[-3000:]
    # Three looks at eleven frames: that one clip alone.
    assert tree(out) == expected and len(looks(out)) == 3


@BEAM
def test_a_place_with_other_pairs_is_refused(videos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    done = run_job(videos, out, False)
    assert done.returncode == 1 and "did not write" in done.stderr
    assert [path.name for path in out.iterdir()] == ["letter.txt"]


def test_a_worker_needs_no_beam_for_local_folders(videos, expected, tmp_path):
    job = ClipJob(str(videos), str(tmp_path), SMALL, lambda: clips.stamp_detector)
    report = job("more/c.avi")
    assert report["pairs"] > 0
    assert (tmp_path / "more" / "c.avi.tfrecord").read_bytes() == expected["more/c.avi.tfrecord"]
    assert job("more/c.avi")["earlier"] and np.isfinite(report["frames"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--videos", "x"], "--out is missing"),
        (["--videos", "x", "--out", "y", "z"], "unexpected argument 'z'"),
        (["--videos", "nowhere", "--out", "y"], "nowhere" if importlib.util.find_spec("apache_beam") else
         "Apache Beam is not installed"),
    ],
)  # fmt: skip
def test_wrong_calls(arguments, words, tmp_path):
    command = [sys.executable, "-m", "trainers.datasets.video_pairs.beam_pipeline", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    sentences = [line for line in done.stderr.splitlines() if line.startswith("trainers.datasets.video_pairs")]
    assert done.returncode == 2 and len(sentences) == 1 and words in sentences[0], done.stderr
    assert not (ROOT / "y").exists()
