import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.faces import journal
from deblur_zoo.faces.acceptance import Rules
from deblur_zoo.faces.alignment import canonical_points
from deblur_zoo.faces.detection import Face
from deblur_zoo.faces.folder import Settings, align_folder, output_stems
from deblur_zoo.faces.warp import warp
from deblur_zoo.files import pictures
from deblur_zoo.files.resumable_folder import REPORT, SETTINGS

SMALL = Settings(size=32, margin=4, format="png")


def stub_detector(image):
    """The darker a photo's corner, the more faces: none above 200, two below 50, else one; a pixel off exactly."""
    level = image[0, 0, 0]
    shift = np.array([10.0, 6.0])
    face = Face(np.array([10.0, 6, 42, 38]), canonical_points(32) + shift, 0.99)
    small = Face(np.array([10.0, 6, 26, 22]), canonical_points(20) + shift, 0.95)
    return [] if level > 200 else [face, small] if level < 50 else [face]


def photo(seed, corner=100):
    pixels = np.random.default_rng(seed).integers(0, 256, (50, 60, 3), np.uint8)
    pixels[0, 0] = corner
    return pixels


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for number, name in enumerate(["a.png", "b.png", "holiday/c.png", "holiday/a.png", "z.png", "y.png"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pictures.write(folder / name, photo(number))
    pictures.write(folder / "none.png", photo(7, corner=255))
    pictures.write(folder / "two.png", photo(8, corner=0))
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:300])
    (folder / "notes.txt").write_text("no picture")
    return folder


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(out):
    return {row.photo: row for found in journal.read(out / REPORT).values() for row in found}


def test_crops_keep_folders_and_names_and_the_report_tells_the_rest(photos, tmp_path):
    out = tmp_path / "deep" / "out"
    summary = align_folder(photos, out, SMALL, stub_detector)
    names = {"a.png", "b.png", "holiday/c.png", "holiday/a.png", "z.png", "y.png", "two.png"}
    assert set(tree(out)) == names | {REPORT, SETTINGS}
    for name in names:
        pixels = pictures.read(photos / name)
        np.testing.assert_array_equal(pictures.read(out / name), pixels[2:42, 6:46])
    assert (summary.photos, summary.crops, summary.taken_over) == (9, 7, 0)
    left_out = dict(summary.left_out)
    assert left_out["none.png"] == "no face found"
    assert left_out["broken.png"].startswith("cannot be read: ") and len(left_out) == 2
    assert summary.kinds() == {"no face found": 1, "cannot be read": 1}
    report = rows(out)
    assert report["two.png"].faces_found == "2" and report["b.png"].faces_found == "1"
    assert report["a.png"].points.split()[0] == "21.04,16.72"  # 0.345 * 32 + 10, 0.335 * 32 + 6
    assert (report["a.png"].confidence, report["a.png"].enlargement) == ("0.9900", "1.0000")
    assert report["none.png"].status == "not used" and report["broken.png"].status == "unreadable"


def test_an_interrupted_run_goes_on_and_gives_the_same(photos, tmp_path):
    align_folder(photos, tmp_path / "whole", SMALL, stub_detector)
    seen = []

    def interrupted(image):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(image)
        return stub_detector(image)

    with pytest.raises(KeyboardInterrupt):
        align_folder(photos, tmp_path / "out", SMALL, interrupted)
    calls = []
    summary = align_folder(photos, tmp_path / "out", SMALL, lambda image: calls.append(1) or stub_detector(image))
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert len(calls) == 8 - 3
    # broken.png comes second and is read again, so three of the four before the interruption are taken over.
    assert (summary.taken_over, summary.crops) == (3, 7)


KILLED = """
import os, signal, sys
sys.path[:0] = [{root!r}, {tests!r}]
import test_folder
from deblur_zoo.faces import folder
count = 0
def write_and_die(path, crop, settings, write=folder._write_crop):
    global count
    count += 1
    if count == 4:
        (path.parent / ".partial-0123-c.png").write_bytes(b"half a pict")
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, crop, settings)
folder._write_crop = write_and_die
folder.align_folder({photos!r}, {out!r}, test_folder.SMALL, test_folder.stub_detector)
"""


def test_a_killed_run_goes_on_and_gives_the_same(photos, tmp_path):
    align_folder(photos, tmp_path / "whole", SMALL, stub_detector)
    tests = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(os.path.dirname(tests))
    code = KILLED.format(root=root, tests=tests, photos=str(photos), out=str(tmp_path / "out"))
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -signal.SIGKILL
    assert len(tree(tmp_path / "out")) == 3 + 3  # three crops, the half one, report and settings
    align_folder(photos, tmp_path / "out", SMALL, stub_detector)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_half_written_missing_and_damaged_files_are_made_again(photos, tmp_path):
    out = tmp_path / "out"
    align_folder(photos, out, SMALL, stub_detector)
    whole = tree(out)
    report = (out / REPORT).read_bytes()
    (out / REPORT).write_bytes(report[:-30])
    (out / "a.png").unlink()
    (out / "b.png").write_bytes(whole["b.png"][:200])
    pictures.write(out / "y.png", np.zeros((7, 7, 3), np.uint8))
    (out / "holiday" / ".partial-12ab-c.png").write_bytes(b"x")
    calls = []
    align_folder(photos, out, SMALL, lambda image: calls.append(1) or stub_detector(image))
    assert tree(out) == whole
    assert len(calls) == 4  # a, b, y and the last row, z


def test_a_finished_run_does_nothing_but_a_changed_or_repaired_photo_is_done_again(photos, tmp_path):
    out = tmp_path / "out"
    align_folder(photos, out, SMALL, stub_detector)

    def never(image):
        raise AssertionError

    assert align_folder(photos, out, SMALL, never).taken_over == 8
    pictures.write(photos / "broken.png", photo(20))
    pictures.write(photos / "b.png", photo(21))
    pictures.write(photos / "z.png", photo(22, corner=255))
    align_folder(photos, out, SMALL, stub_detector)
    align_folder(photos, tmp_path / "whole", SMALL, stub_detector)
    assert tree(out) == tree(tmp_path / "whole")
    assert not (out / "z.png").exists()


def test_crops_of_photos_that_are_gone_stay(photos, tmp_path):
    out = tmp_path / "out"
    align_folder(photos, out, SMALL, stub_detector)
    whole = tree(out)
    (photos / "a.png").unlink()
    (photos / "two.png").unlink()
    align_folder(photos, out, SMALL, stub_detector)
    assert tree(out) == whole
    # There is nothing to keep of a photo that could not be read.
    (photos / "broken.png").unlink()
    assert dict(align_folder(photos, out, SMALL, stub_detector).left_out) == {"none.png": "no face found"}


def test_names_that_differ_only_in_the_ending(photos, tmp_path):
    pictures.write(photos / "a.bmp", photo(30))
    align_folder(photos, tmp_path / "out", SMALL, stub_detector)
    for name in ("a.bmp", "a.png"):
        np.testing.assert_array_equal(
            pictures.read(tmp_path / "out" / f"{name}.png"), pictures.read(photos / name)[2:42, 6:46]
        )
    assert not (tmp_path / "out" / "a.png").exists() and (tmp_path / "out" / "holiday" / "a.png").exists()


def test_output_stems_are_unique():
    assert output_stems(["x/a.b.jpg", "x/c.png"]) == {"x/a.b.jpg": "x/a.b", "x/c.png": "x/c"}
    assert output_stems(["a.jpg", "A.png"]) == {"a.jpg": "a.jpg", "A.png": "A.png"}
    assert output_stems(["a.jpg", "a-face1.jpg"]) == {"a.jpg": "a", "a-face1.jpg": "a-face1.jpg"}
    awkward = ["a.jpg", "a.png", "a.jpg.png", "a.jpg.bmp", "a.png.tif", "b.jpg", "B.JPG", "B.JPG.png", "a.jpg_.png"]
    stems = output_stems(awkward)
    assert len({stem.casefold() for stem in stems.values()}) == len(awkward)


def test_every_face_of_a_photo(photos, tmp_path):
    settings = Settings(size=32, margin=4, format="png", all_faces=True)
    out = tmp_path / "out"
    summary = align_folder(photos, out, settings, stub_detector)
    assert {"two-face1.png", "two-face2.png", "a-face1.png"} <= set(tree(out)) and summary.crops == 8
    pixels = pictures.read(photos / "two.png")
    np.testing.assert_array_equal(pictures.read(out / "two-face1.png"), pixels[2:42, 6:46])
    # canonical_points(20) + (10, 6) at 32 / 20: the crop's scale is 1.6.
    matrix = np.array([[1.6, 0, 4 - 1.6 * 10], [0, 1.6, 4 - 1.6 * 6]])
    np.testing.assert_array_equal(pictures.read(out / "two-face2.png"), warp(pixels, matrix, 40))
    whole = tree(out)
    lines = (out / REPORT).read_bytes().splitlines(keepends=True)
    second = next(number for number, line in enumerate(lines) if b"2/2" in line)
    (out / REPORT).write_bytes(b"".join(lines[:second]))
    align_folder(photos, out, settings, stub_detector)
    assert tree(out) == whole


def test_photos_are_turned_upright_and_grey_ones_work(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = photo(1)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(folder / "turned.png", exif=exif)
    Image.fromarray(pixels[..., 1]).save(folder / "grey.png")
    Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(folder / "alpha.png")
    align_folder(folder, tmp_path / "out", SMALL, stub_detector)
    crops = {name: pictures.read(tmp_path / "out" / f"{name}.png") for name in ("turned", "grey", "alpha")}
    np.testing.assert_array_equal(crops["turned"], pixels[2:42, 6:46])
    np.testing.assert_array_equal(crops["alpha"], pixels[2:42, 6:46])
    np.testing.assert_array_equal(crops["grey"], pixels[2:42, 6:46, 1:2].repeat(3, axis=2))


def test_lossless_and_lossy_webp(photos, tmp_path):
    crops = {}
    for quality in (100, 90):
        out = tmp_path / str(quality)
        align_folder(photos, out, Settings(size=32, margin=4, quality=quality), stub_detector)
        crops[quality] = pictures.read(out / "a.webp")
    np.testing.assert_array_equal(crops[100], pictures.read(photos / "a.png")[2:42, 6:46])
    # The chroma of noise is lost at any quality; brightness is not.
    error = np.abs(crops[90].astype(float) - crops[100]).mean()
    grey_error = np.abs(
        pictures.load(crops[90]).rgb @ pictures.LUMA - pictures.load(crops[100]).rgb @ pictures.LUMA
    ).mean()
    assert error > 1 and grey_error < 0.03


def test_faces_that_break_a_rule_are_left_out_with_their_reason(photos, tmp_path):
    def judged(**rules):
        out = tmp_path / str(rules)
        settings = Settings(size=32, margin=4, format="png", rules=Rules(**rules))
        return dict(align_folder(photos, out, settings, stub_detector).left_out).get("a.png")

    assert judged() is None
    assert judged(minimum_confidence=0.995).startswith("uncertain face: confidence 0.990, at least 0.995")
    assert judged(maximum_enlargement=0.5).startswith("face too small: enlarged 1.00 times, at most 0.5")


def test_an_output_folder_of_another_run_is_refused_and_kept(photos, tmp_path):
    out = tmp_path / "out"
    align_folder(photos, out, SMALL, stub_detector)
    whole = tree(out)
    (tmp_path / "other").mkdir()
    pictures.write(tmp_path / "other" / "a.png", photo(3))
    for folder, settings, words in (
        (photos, Settings(size=64, margin=4, format="png"), r"other settings \(size;"),
        (tmp_path / "other", SMALL, r"other settings \(photos;"),
        (out, SMALL, "must differ from that of the photos"),
    ):
        with pytest.raises(ValueError, match=words):
            align_folder(folder, out, settings, stub_detector)
    with pytest.raises(ValueError, match="did not write"):
        align_folder(photos, tmp_path / "other", SMALL, stub_detector)
    assert tree(out) == whole and set(tree(tmp_path / "other")) == {"a.png"}
    (out / SETTINGS).write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        align_folder(photos, out, SMALL, stub_detector)


def test_crops_inside_the_photos_folder_are_not_taken_for_photos(photos):
    align_folder(photos, photos / "crops", SMALL, stub_detector)
    assert align_folder(photos, photos / "crops", SMALL, stub_detector).photos == 9


def test_no_photos(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        align_folder(tmp_path / "missing", tmp_path / "out", SMALL, stub_detector)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no pictures"):
        align_folder(tmp_path / "empty", tmp_path / "out", SMALL, stub_detector)
    assert not (tmp_path / "out").exists()
