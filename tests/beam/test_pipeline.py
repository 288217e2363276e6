"""Photos on Apache Beam: what the folder command makes of them, byte for byte."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data

from deblur_zoo.beam import pipeline
from deblur_zoo.beam.pipeline import PhotoJob, plan
from deblur_zoo.faces.detection import Face
from deblur_zoo.restoration import photo as photo_module
from deblur_zoo.restoration.restorer import Restorer

ROOT = Path(__file__).parents[2]
HAS_BEAM = importlib.util.find_spec("apache_beam") is not None
BEAM = pytest.mark.skipif(not HAS_BEAM, reason="Apache Beam is not installed: pip install '.[beam]'")
# The astronaut's, as MTCNN finds it, to a pixel.
FACE = Face(
    np.array([176.0, 64, 276, 199]), np.array([[208.0, 112], [248, 113], [228, 137], [209, 158], [244, 159]]), 0.99
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three blurred portraits, one in a folder of its own; a photo without a face; a letter by the name of a photo."""
    folder = tmp_path_factory.mktemp("beam") / "photos"
    (folder / "more").mkdir(parents=True)
    for name, length in (("a.jpg", 9), ("b.png", 13), ("more/c.jpg", 7)):
        Image.fromarray(ndimage.uniform_filter(data.astronaut(), (1, length, 1))).save(folder / name)
    Image.fromarray(np.full((90, 120, 3), 90, np.uint8)).save(folder / "wall.png")
    (folder / "letter.jpg").write_text("dear")
    return folder


@pytest.fixture
def one_face(monkeypatch):
    """Of each portrait; the detector takes seconds."""
    monkeypatch.setattr(
        photo_module, "find_faces", lambda pixels, *rest, **named: [FACE] if pixels.shape[0] == 512 else []
    )
    yield
    pipeline._models.clear()


def tree(folder):
    """Contents of its pictures by name."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".jsonl"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("staged", [False, pytest.param(True, marks=BEAM)], ids=["in place", "on copies"])
def test_a_worker_makes_what_the_folder_command_makes(staged, photos, one_face, tiny_preset, tmp_path):
    out, expected = tmp_path / "out", tmp_path / "expected"
    Restorer(tiny_preset).restore_folder(photos, expected)
    job = PhotoJob(str(photos), str(out), str(tiny_preset), staged=staged)
    names = plan(photos, out)
    if staged:
        # Object stores have no folders.
        (out / "more").mkdir(parents=True)
    lines = [json.loads(job(pair)) for pair in names]
    assert tree(out) == tree(expected) and set(tree(out)) == {"a.jpg", "b.png", "more/c.jpg", "wall.png"}
    by_name = {Path(line["photo"]).relative_to(photos).as_posix(): line for line in lines}
    assert by_name["letter.jpg"].keys() == {"photo", "error"}
    assert by_name["letter.jpg"]["error"].startswith(f"{photos}/letter.jpg is not a picture")
    assert by_name["more/c.jpg"]["result"] == str(out / "more" / "c.jpg")
    assert [len(by_name[name]["faces"]) for name in ("a.jpg", "wall.png")] == [1, 0]

    # Again: what is there stays, and what is missing comes.
    (out / "b.png").unlink()
    (out / "a.jpg").write_bytes(b"mine")
    lines = [json.loads(job(pair)) for pair in names]
    assert tree(out) == tree(expected) | {"a.jpg": b"mine"}
    assert [Path(line["photo"]).name for line in lines if "skipped" in line] == ["a.jpg", "c.jpg", "wall.png"]


def test_a_result_that_cannot_be_written_stops_the_run(photos, one_face, tiny_preset, tmp_path, monkeypatch):
    """Beam tries again; a report of millions of failures would help nobody."""

    def full(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(photo_module.RestoredPhoto, "save", full)
    with pytest.raises(OSError, match="No space"):
        PhotoJob(str(photos), str(tmp_path), str(tiny_preset))(("a.jpg", "a.jpg"))
    assert list(tmp_path.glob("*.jpg")) == []


def test_names(photos, tmp_path):
    pairs = [(name, name) for name in ("a.jpg", "b.png", "letter.jpg", "more/c.jpg", "wall.png")]
    assert plan(photos, tmp_path / "out") == pairs
    assert plan(photos, tmp_path / "out", ".webp")[3] == ("more/c.jpg", "more/c.webp")
    with pytest.raises(ValueError, match="overwritten"):
        plan(photos, photos)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        plan(tmp_path / "nowhere", tmp_path / "out")


def run_command(*arguments):
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "deblur_zoo.beam", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip


@BEAM
@pytest.mark.slow
def test_two_workers_make_what_the_folder_command_makes(photos, tiny_preset, tmp_path):
    out, expected = tmp_path / "out", tmp_path / "expected"
    Restorer(tiny_preset).restore_folder(photos, expected)
    arguments = [photos, "-o", out, f"--preset={tiny_preset}", "--", "--direct_num_workers=2"]
    done = run_command(*arguments)
    assert done.returncode == 1, done.stderr[-3000:]
    assert "4 restored, 0 skipped, 1 failed" in done.stdout
    assert tree(out) == tree(expected)
    (report,) = out.glob("*.jsonl")
    lines = [json.loads(text) for text in report.read_text().splitlines()]
    assert sorted(Path(line["photo"]).name for line in lines) == ["a.jpg", "b.png", "c.jpg", "letter.jpg", "wall.png"]
    assert [Path(line["photo"]).name for line in lines if "error" in line] == ["letter.jpg"]

    # A run that was stopped: one result is missing, another was being written.
    (out / "b.png").unlink()
    (out / ".partial-1234-b.png").write_bytes(b"half")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*g") if not path.name.startswith(".")}
    done = run_command(*arguments)
    assert done.returncode == 1 and "1 restored, 3 skipped, 1 failed" in done.stdout, done.stderr[-3000:]
    assert (out / "b.png").read_bytes() == (expected / "b.png").read_bytes()
    assert all(path.stat().st_mtime_ns == time for path, time in before.items()) and len(before) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Pass one folder of photos"),
        (("photos", "more", "-o", "x"), "Pass one folder of photos"),
        (("photos",), "-o FOLDER"),
        (("nowhere", "-o", "x"), "nowhere" if HAS_BEAM else 'pip install "deblur-zoo[beam]"'),
    ],
)
def test_wrong_calls(arguments, words):
    done = run_command(*arguments)
    sentences = [line for line in done.stderr.splitlines() if line.startswith("deblur-zoo-beam: ")]
    assert done.returncode == 2 and len(sentences) == 1 and words in sentences[0], done.stderr
