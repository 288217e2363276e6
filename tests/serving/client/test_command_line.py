import functools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.files import pictures

WRONG_CALLS = Path(__file__).resolve().parents[2] / "wrong_calls.py"
COMMAND = [sys.executable, "-m", "deblur_zoo.serving.client"]


def run(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def random_pixels(seed, *shape):
    """Close to mid-grey, so that the server's negatives do not count as a failed network."""
    return np.random.default_rng(seed).integers(96, 160, shape or (8, 9, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    pictures.write(tmp_path / "in" / "a.png", random_pixels(0))
    pictures.write(tmp_path / "in" / "b.png", random_pixels(1, 5, 6, 3))
    pictures.write(tmp_path / "in" / "sub" / "c.png", random_pixels(2))
    return tmp_path / "in"


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_help_is_quick_and_lists_the_flags():
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    result = run("--help")
    # Processor time, which a busy machine does not change. Importing TensorFlow alone takes longer.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1.5
    assert result.returncode == 0
    flags = (
        "--output",
        "--server",
        "--protocol",
        "--model",
        "--in_flight",
        "--timeout",
        "--retries",
        "--[no]overwrite",
    )
    for part in ("deblur-zoo-client crops -o restored", *flags):
        assert part in result.stdout


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_folder_with_an_unreadable_file(fake, folder, tmp_path, protocol):
    (folder / "bad.png").write_text("no picture")
    out = tmp_path / "out"
    result = run(folder, "-o", out, "--server", fake.target[protocol], "--protocol", protocol, "--in_flight=2")
    assert result.returncode == 1
    assert result.stdout.startswith(f"Restored 3 pictures in {out} with one_step_lite at {fake.target[protocol]} in ")
    assert result.stderr.startswith("1 picture could not be restored:\n") and result.stderr.count("\n") == 2
    assert f"{folder / 'bad.png'} is not a picture" in result.stderr
    assert files(out) == ["a.png", "b.png", "sub/c.png"]
    for name in files(out):
        np.testing.assert_array_equal(pictures.read(out / name), 255 - pictures.read(folder / name)[:, ::-1])


def test_colours_follow_the_profile_and_the_profile_is_kept(fake, colour_profiles, tmp_path):
    (tmp_path / "in").mkdir()
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    Image.new("RGB", (8, 8), (150, 120, 110)).save(tmp_path / "in" / "a.png", icc_profile=profile)
    assert run(tmp_path / "in", "-o", tmp_path / "out", "--server", fake.rest).returncode == 0
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.info["icc_profile"] == profile
    # The server inverts sRGB: (157, 119, 109) by the matrix from linear P3 and sRGB's curve.
    np.testing.assert_allclose(pictures.read(tmp_path / "out" / "a.png")[0, 0], [98, 136, 146], atol=2)


def test_a_file_and_what_is_there_already(fake, folder, tmp_path):
    target = tmp_path / "restored.png"
    target.write_text("older")
    result = run(folder / "a.png", "-o", target, "--server", fake.rest)
    assert result.returncode == 2 and f"{target} exists already" in result.stderr and target.read_text() == "older"
    result = run(folder / "a.png", "-o", target, "--server", fake.rest, "--overwrite")
    assert (result.returncode, result.stderr) == (0, "")
    expected = 255 - random_pixels(0)[:, ::-1]
    np.testing.assert_array_equal(pictures.read(target), expected)
    # Over itself only when that is said.
    result = run(folder / "a.png", "-o", folder / "a.png", "--server", fake.rest)
    assert result.returncode == 2 and "would be overwritten" in result.stderr
    np.testing.assert_array_equal(pictures.read(folder / "a.png"), random_pixels(0))
    assert run(folder / "a.png", "-o", folder / "a.png", "--server", fake.rest, "--overwrite").returncode == 0
    np.testing.assert_array_equal(pictures.read(folder / "a.png"), expected)
    # A folder is resumed.
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_text("older")
    result = run(folder, "-o", tmp_path / "out", "--server", fake.rest)
    assert result.returncode == 0 and "1 picture skipped: the results exist" in result.stdout
    assert (tmp_path / "out" / "b.png").read_text() == "older" and files(tmp_path / "out") == files(folder)


def test_bad_input_is_one_sentence_and_exit_code_2(fake, free_port, folder, tmp_path):
    out = tmp_path / "out"
    whole = [folder, "-o", out, "--retries=0", f"--server={fake.rest}"]
    closed = [folder, "-o", out, "--retries=0", f"--server=127.0.0.1:{free_port}"]
    cases = [
        ([], "Name a file or folder to deblur"),
        ([folder], "The output is missing"),
        ([folder, "-o", out], "The server is missing: give --server HOST:PORT."),
        (["absent", "-o", out, f"--server={fake.rest}"], "There is no file or folder absent"),
        ([folder, "-o", out, "--server=localhost"], "a server must be HOST:PORT"),
        ([*whole, "--protocol=http"], "protocol"),
        ([*whole, "--in_flight=0"], "in_flight"),
        ([*whole, "--timeout=0"], "timeout"),
        ([*whole, "--model=absent"], "Servable not found for request: Latest(absent)"),
        ([*whole, "--model_version=1", "--version_label=a"], "not both"),
        (closed, "cannot be reached"),
        ([*closed, "--protocol=grpc"], "cannot be reached"),
    ]
    calls = json.dumps([list(map(str, arguments)) for arguments, _ in cases])
    command = [sys.executable, WRONG_CALLS, "deblur_zoo.serving.client.__main__", calls]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    answers, heavy = json.loads(result.stdout)
    assert len(answers) == len(cases) and heavy == []
    for (_, message), (code, text) in zip(cases, answers, strict=True):
        assert code == 2 and message in text and text.startswith("name: ") and text.count("\n") == 1
    assert not out.exists()


def test_a_model_that_is_still_loading(fake, folder, tmp_path):
    fake.script = [("answer", b'{"model_version_status": [{"version": "4", "state": "LOADING"}]}')]
    result = run(folder, "-o", tmp_path / "out", "--server", fake.rest)
    assert result.returncode == 2 and not (tmp_path / "out").exists()
    assert f"one_step_lite at {fake.rest} is not available: version 4 LOADING." in result.stderr


def test_a_picture_that_the_server_refuses(fake, folder, tmp_path):
    # The first request asks for the status.
    fake.script = [None, ("refuse", 400, None, None, "too many pixels")]
    result = run(folder, "-o", tmp_path / "out", "--server", fake.rest, "--in_flight=1")
    assert result.returncode == 1 and files(tmp_path / "out") == ["b.png", "sub/c.png"]
    assert f"{folder / 'a.png'}: The server at {fake.rest} answers 400 (INVALID_ARGUMENT): too many" in result.stderr


def test_a_server_that_goes_away(fake, folder, tmp_path):
    fake.script = [None, None] + [("drop",)] * 100
    result = run(folder, "-o", tmp_path / "out", "--server", fake.rest, "--in_flight=1", "--retries=1")
    assert result.returncode == 1 and files(tmp_path / "out") == ["a.png"]
    assert "deblur-zoo-client: stopped with 2 pictures left: The server" in result.stderr
    assert "Traceback" not in result.stderr


def test_slow_pictures_are_listed_until_there_are_too_many(fake, folder, tmp_path):
    fake.script = [None] + [("delay", 0.6)] * 100
    result = run(folder, "-o", tmp_path / "out", "--server", fake.rest, "--in_flight=1", "--timeout=0.2")
    assert result.returncode == 1 and not (tmp_path / "out").exists()
    assert "1 picture could not be restored:" in result.stderr
    assert "stopped with 2 pictures left: " in result.stderr and "within 0.2 s" in result.stderr


def test_ctrl_c(fake, folder, tmp_path):
    fake.script = [None, None] + [("delay", 60)] * 10
    command = [*COMMAND, folder, "-o", tmp_path / "out", "--server", fake.rest, "--in_flight=1"]
    # A shell starts what runs in its background with Ctrl-C ignored, and Python leaves it so.
    wake = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=wake)
    end = time.monotonic() + 60
    # One picture is there, the next is under way.
    while not ((tmp_path / "out" / "a.png").exists() and len(fake.requests) >= 3) and time.monotonic() < end:
        time.sleep(0.05)
    start = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert time.monotonic() - start < 30
    assert process.returncode == 130 and "Traceback" not in error
    assert files(tmp_path / "out") == ["a.png"]
