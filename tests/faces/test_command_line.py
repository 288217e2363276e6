import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from deblur_zoo.faces import journal
from deblur_zoo.files import pictures
from tests.commands import run_python

ROOT = Path(__file__).parents[2]


def command(*arguments):
    return run_python("-m", "deblur_zoo.faces", *arguments)


# One process for all wrong calls, since each start of Python takes long on a busy machine.
WRONG_CALLS = """
import contextlib, io, json, sys
from absl.testing import flagsaver
from deblur_zoo.faces import __main__ as command
results = []
for arguments in json.loads(sys.argv[1]):
    out, error = io.StringIO(), io.StringIO()
    sys.argv = ["deblur_zoo.faces", *arguments]
    code = None
    with flagsaver.flagsaver(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        command.FLAGS.unparse_flags()
        try:
            command.main()
        except SystemExit as end:
            code = end.code
    results.append([code, out.getvalue(), error.getvalue()])
heavy = [name for name in ("tensorflow", "keras", "mtcnn") if name in sys.modules]
print(json.dumps([results, heavy]))
"""


def test_wrong_calls_give_one_sentence_and_load_nothing_heavy(tmp_path):
    photos, broken, out = tmp_path / "photos", tmp_path / "broken", str(tmp_path / "out")
    photos.mkdir()
    broken.mkdir()
    (broken / "broken.png").write_bytes(b"no picture")
    cases = [
        (["--out", out], "--photos is missing"),
        (["--photos", str(photos)], "--out is missing"),
        (["--photos", str(photos), "--out", out], "no pictures"),
        (["--photos", str(tmp_path / "nothing"), "--out", out], "no folder"),
        (["--fotos", "x"], "fotos"),
        (["--photos", "x", "--out", "y", "z"], "unexpected argument 'z'"),
        (["--photos", "x", "--out", "y", "--size", "5"], "size"),
        (["--photos", "x", "--out", "y", "--longest_sides", "320,big"], "64 to 8192"),
        (["--photos", str(broken), "--out", str(broken)], "must differ"),
    ]
    usable = ["--photos", str(broken), "--out", out + "2"]
    calls = json.dumps([arguments for arguments, _ in cases] + [usable])
    done = subprocess.run(
        [sys.executable, "-c", WRONG_CALLS, calls], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    results, heavy = json.loads(done.stdout)
    for (arguments, words), (code, output, error) in zip(cases, results, strict=False):
        assert code == 2 and words in error, (arguments, error)
        assert len(error.strip().splitlines()) == 1 and not output
    assert not Path(out).exists()
    # All arguments right, but no photo that can be used.
    code, output, error = results[-1]
    assert code == 1 and "1 photos, 0 crops" in output and "broken.png: cannot be read" in output
    assert not heavy


def test_help():
    result = command("--help")
    assert result.returncode == 0 and "--margin" in result.stdout and "--photos" in result.stdout


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "space").mkdir()
    pictures.write(folder / "space" / "astronaut.jpg", astronaut())
    pictures.write(folder / "wall.png", np.full((100, 100, 3), 200, np.uint8))
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def test_a_folder_with_the_real_detector(photos, tmp_path):
    result = command("--photos", photos, "--out", tmp_path / "out", "--margin", 16)
    assert result.returncode == 0, result.stderr
    assert "3 photos, 1 crops" in result.stdout
    assert "wall.png: no face found" in result.stdout and "broken.png: cannot be read" in result.stdout
    assert result.stderr == ""
    crop = pictures.read(tmp_path / "out" / "space" / "astronaut.webp")
    assert crop.shape == (160, 160, 3)
    # Eyes are dark beside the bridge of the nose, at their canonical places.
    for eye in (44, 84):
        spot = crop[16 + 40 : 16 + 50, 16 + eye - 4 : 16 + eye + 4].mean()
        assert spot < crop[16 + 40 : 16 + 50, 16 + 60 : 16 + 68].mean() - 30
    row = journal.read(tmp_path / "out" / "report.tsv")["space/astronaut.jpg"][0]
    # Pupils read off the picture by eye.
    points = np.array([point.split(",") for point in row.points.split()], float)
    assert np.abs(points[:2] - [[204, 101], [247, 103]]).max() < 4
