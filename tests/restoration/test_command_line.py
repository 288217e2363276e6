import resource
import subprocess
import sys

import numpy as np
import pytest

from deblur_zoo.files import pictures
from deblur_zoo.restoration.folders import Restorer


def run(*arguments):
    command = [sys.executable, "-m", "deblur_zoo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


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
    result = run("--help")
    # Processor time, which a busy machine does not change. Importing TensorFlow alone takes longer.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1.5
    assert result.returncode == 0
    for part in ("deblur-zoo crops -o restored", "--output", "--preset", "--batch_size", "--passes", "--[no]overwrite"):
        assert part in result.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "One file or folder to deblur is needed"),
        (["a", "b", "-o", "c"], "2 were given"),
        (["in"], "Where to write is missing"),
        (["absent", "-o", "out"], "There is no file or folder absent"),
        (["in", "-o", "out", "--colour=red"], "Unknown command line flag 'colour'"),
        (["in", "-o", "out", "--batch_size=0"], "batch_size"),
        (["in", "-o", "out", "--passes=0"], "passes"),
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
    result = run(folder / "a.png", "-o", folder / "a.png", "--preset", tiny_preset, "--overwrite")
    assert result.returncode == 0
    assert result.stdout.startswith(f"Restored {folder / 'a.png'} with tiny in ")
    expected = Restorer(tiny_model).restore(random_pixels(0))
    np.testing.assert_allclose(pictures.read(folder / "a.png").astype(int), expected, atol=1)


def test_a_folder_with_an_unreadable_file(folder, tiny_preset, tiny_model, tmp_path):
    (folder / "bad.png").write_text("no picture")
    result = run(folder, "--output", tmp_path / "out", "--preset", tiny_preset, "--batch_size=2")
    assert result.returncode == 1
    assert result.stdout.startswith(f"Restored 2 pictures in {tmp_path / 'out'} with tiny in ")
    assert "3/3" in result.stderr and "1 picture could not be restored:" in result.stderr
    assert f"{folder / 'bad.png'}: {folder / 'bad.png'} is not a picture" in result.stderr
    expected = Restorer(tiny_model).restore(random_pixels(1))
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
