import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d
from skimage import data

import deblur_zoo
from deblur_zoo.files import pictures
from deblur_zoo.restoration.photo import DEFAULT_PRESET
from deblur_zoo.restoration.restorer import Restorer
from tests.commands import run_python


def run(*arguments):
    return run_python("-m", "deblur_zoo", *arguments)


def run_as_a_user(*arguments):
    """In a new process, without what the tests tell TensorFlow."""
    command = [sys.executable, "-m", "deblur_zoo", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def random_pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    pictures.write(tmp_path / "in" / "a.png", random_pixels(0))
    pictures.write(tmp_path / "in" / "sub" / "b.png", random_pixels(1))
    return tmp_path / "in"


def test_help_is_quick_and_lists_the_flags():
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    result = run_as_a_user("--help")
    # Processor time, which a busy machine does not change. Importing TensorFlow alone takes longer.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1.5
    assert result.returncode == 0
    for part in (
        "deblur-zoo photo.jpg -o restored.jpg",
        "--[no]crops",
        "--background",
        "--output",
        "--preset",
        "--batch_size",
        "--device",
        "--suffix",
        "--ext",
        "--quality",
        "--[no]compare",
        "--[no]draw_boxes",
        "--[no]save_crops",
        "--json",
        "--passes",
        "--[no]overwrite",
    ):
        assert part in result.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "Name a file or folder to deblur"),
        (["in", "absent", "-o", "out"], "There is no file or folder absent"),
        (["in"], "The output is missing"),
        (["absent", "-o", "out"], "There is no file or folder absent"),
        (["in", "-o", "out", "--colour=red"], "Unknown command line flag 'colour'"),
        (["in", "-o", "out", "--batch_size=0"], "batch_size"),
        (["in", "-o", "out", "--passes=0"], "passes"),
        (["in", "-o", "out", "--strength=2"], "strength"),
        (["in", "-o", "out", "--min_confidence=2"], "minimum_confidence must be between 0 and 1"),
        (["in", "-o", "out", "--faces=some"], "all|largest|centre"),
        (["in", "-o", "out", "--quality=0"], "quality"),
        (["in", "-o", "out", "--ext=gif"], "jpg|png|tiff|webp|bmp"),
        (["in", "-o", "out", "--suffix=/x"], "suffix"),
        (["in", "-o", "out", "--device=tpu"], "--device tpu is neither cpu nor gpu"),
        (["in", "-o", "out", "--json=."], "needs the name of a file"),
        (["in", "-o", "out", "--crops", "--faces=all"], "--faces is for photos"),
        (["*.absent", "-o", "out"], "There is no file or folder *.absent"),
        (["in", "-o", "out", "--preset=one_stp"], "There is no preset 'one_stp'; near names: one_step"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path, arguments, message):
    (tmp_path / "in").mkdir()
    pictures.write(tmp_path / "in" / "a.png", random_pixels(0))
    arguments = [str(tmp_path / "in") if argument == "in" else argument for argument in arguments]
    result = run(*[str(tmp_path / "out") if argument == "out" else argument for argument in arguments])
    assert result.returncode == 2 and message in result.stderr
    assert result.stderr.startswith("deblur-zoo: ") and result.stderr.count("\n") == 1 and result.stdout == ""
    assert not (tmp_path / "out").exists()


def test_a_file_over_itself(folder, tiny_preset, tiny_model):
    result = run(folder / "a.png", "-o", folder / "a.png", "--preset", tiny_preset, "--overwrite", "--crops")
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.startswith(f"Restored {folder / 'a.png'} with tiny in ")
    expected = Restorer(tiny_model, crops=True).restore(random_pixels(0)).pixels
    np.testing.assert_allclose(pictures.read(folder / "a.png").astype(int), expected, atol=1)


def test_a_folder_with_an_unreadable_file(folder, tiny_preset, tiny_model, tmp_path):
    (folder / "bad.png").write_text("no picture")
    result = run_as_a_user(folder, "--output", tmp_path / "out", "--preset", tiny_preset, "--batch_size=2", "--crops")
    assert result.returncode == 1
    assert result.stdout.startswith(f"Restored 2 pictures in {tmp_path / 'out'} with tiny in ")
    # Neither TensorFlow's messages nor a progress bar, which is for terminals.
    first, second = result.stderr.splitlines()
    assert first == "1 picture could not be restored:"
    assert second.startswith(f"  {folder / 'bad.png'}: {folder / 'bad.png'} is not a picture")
    expected = Restorer(tiny_model, crops=True).restore(random_pixels(1)).pixels
    np.testing.assert_allclose(pictures.read(tmp_path / "out" / "sub" / "b.png").astype(int), expected, atol=1)


def test_a_file_that_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    result = run(tmp_path / "a.png", "-o", tmp_path / "out.png")
    assert result.returncode == 2 and result.stderr.startswith(f"deblur-zoo: {tmp_path / 'a.png'} is not a picture")
    assert not (tmp_path / "out.png").exists()


def test_the_input_is_protected(folder):
    before = (folder / "a.png").read_bytes()
    for arguments in [(folder, "-o", folder), (folder / "a.png", "-o", folder / "a.png")]:
        result = run(*arguments)
        assert result.returncode == 2 and "would be overwritten" in result.stderr and result.stderr.count("\n") == 1
    assert (folder / "a.png").read_bytes() == before


def test_nothing_is_overwritten_and_a_run_is_continued(folder, tiny_preset, tmp_path):
    out = tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    (out / "sub" / "b.png").write_text("somebody's")
    for skipped in (1, 2):
        result = run(folder, "-o", out, "--preset", tiny_preset, "--crops")
        assert (result.returncode, result.stderr) == (0, "")
        lines = result.stdout.splitlines()
        assert lines[-1].startswith(
            f"{skipped} picture{'s' * (skipped - 1)} skipped: the results exist (see --overwrite)"
        )
        assert len(lines) == (2 if skipped == 1 else 1) and str(out / "sub" / "b.png") in lines[-1]
    assert (out / "sub" / "b.png").read_text() == "somebody's"
    result = run(folder / "a.png", "-o", out / "a.png")
    assert result.returncode == 2 and f"{out / 'a.png'} exists already" in result.stderr
    result = run(folder, "-o", out, "--preset", tiny_preset, "--crops", "--overwrite")
    assert result.stdout.startswith("Restored 2 pictures")
    assert pictures.read(out / "sub" / "b.png").shape == (8, 8, 3)


def test_patterns_and_names_of_results(folder, tiny_preset, tmp_path):
    flags = (
        "--preset",
        tiny_preset,
        "--crops",
        "--suffix=_new",
        "--ext=jpg",
        "--json",
        tmp_path / "new" / "report.json",
    )
    result = run(f"{folder}/**/*.png", "-o", tmp_path / "out", *flags, "--compare", "--device=cpu")
    assert (result.returncode, result.stderr) == (0, "")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a_new.jpg", "a_new_compare.jpg", "b_new.jpg", "b_new_compare.jpg"]
    lines = [json.loads(line) for line in (tmp_path / "new" / "report.json").read_text().splitlines()]
    assert [line["photo"] for line in lines] == [str(folder / "a.png"), str(folder / "sub" / "b.png")]


def test_several_inputs_and_a_new_folder(folder, tiny_preset, tiny_model, tmp_path):
    pictures.write(tmp_path / "d.png", random_pixels(2))
    out = f"{tmp_path / 'new' / 'deeper'}/"
    result = run(folder, tmp_path / "d.png", "-o", out, "--preset", tiny_preset, "--crops")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Restored 3 pictures in {out} with tiny in ")
    for seed, name in enumerate(("in/a.png", "in/sub/b.png", "d.png")):
        expected = Restorer(tiny_model, crops=True).restore(random_pixels(seed)).pixels
        np.testing.assert_allclose(pictures.read(Path(out) / name).astype(int), expected, atol=1)


def test_the_version_and_the_trained_presets():
    result = run("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"deblur-zoo {deblur_zoo.__version__}\n"
    result = run("--list")
    assert (result.returncode, result.stderr) == (0, "")
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names == deblur_zoo.list_models(kind="deblurrer", trained=True)
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("one_step_lite ")]
    described = deblur_zoo.describe("one_step_lite")
    assert f"{described.multiply_adds / 1e9:.2f} G multiply-adds" in line
    assert f"{described.record['measured']['psnr_gain_db']:+.2f} dB" in line


def test_photos(tmp_path):
    """One photo with a blurred face, one without a face; the library gives the same pixels."""
    (tmp_path / "in").mkdir()
    blurred = np.stack([uniform_filter1d(plane, 9, axis=1) for plane in np.moveaxis(data.astronaut(), -1, 0)], axis=-1)
    pictures.write(tmp_path / "in" / "face.png", blurred)
    pictures.write(tmp_path / "in" / "none.png", np.full((70, 90, 3), 128, np.uint8))
    flags = ("--background=keep", "--draw_boxes", "--save_crops", "--json", tmp_path / "report.json")
    result = run(tmp_path / "in", "-o", tmp_path / "out", *flags)
    assert (result.returncode, result.stderr) == (0, "")
    found, none = [json.loads(line)["faces"] for line in (tmp_path / "report.json").read_text().splitlines()]
    assert len(found) == 1 and found[0]["restored"] and none == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "face.png",
        "face_boxes.jpg",
        "face_face_1.png",
        "none.png",
        "none_boxes.jpg",
    ]
    first, second = result.stdout.splitlines()
    assert first.startswith(f"Restored 2 pictures in {tmp_path / 'out'} with {DEFAULT_PRESET} in ")
    assert second == f"1 picture without a face, left unchanged: {tmp_path / 'out' / 'none.png'}"
    assert (pictures.read(tmp_path / "out" / "none.png") == 128).all()
    restored = deblur_zoo.restore(tmp_path / "in" / "face.png", background="keep")
    np.testing.assert_allclose(pictures.read(tmp_path / "out" / "face.png").astype(int), restored.pixels, atol=1)
    (face,) = restored.faces
    assert face.restored and 120 < face.size < 150
    left, top, right, bottom = face.box.astype(int)

    def psnr(pixels):
        difference = pixels[top:bottom, left:right].astype(float) - data.astronaut()[top:bottom, left:right]
        return -10 * np.log10(np.mean(difference**2) / 255**2)

    # Measured: 2.05 dB.
    assert psnr(restored.pixels) > psnr(blurred) + 1.5
    outside = np.ones(blurred.shape[:2], bool)
    outside[: bottom + 40, left - 60 : right + 60] = False
    assert np.array_equal(restored.pixels[outside], blurred[outside])
