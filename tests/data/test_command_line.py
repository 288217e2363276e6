"""The command ``python -m deblur_zoo.data``."""

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.data.face_store import load_faces
from tests.commands import run_python


def command(*arguments):
    return run_python("-m", "deblur_zoo.data", *arguments)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"nothing")
    return folder


def test_it_packs_and_says_what_it_did(folder, tmp_path):
    out = tmp_path / "faces.npz"
    finished = command("--faces", folder, "--out", out, "--minimum_size", 16)
    assert (finished.returncode, finished.stderr) == (0, "")
    store = load_faces([folder], 16)
    np.testing.assert_array_equal(load_faces([out], 16).faces, store.faces)
    first, second, third, fourth = finished.stdout.splitlines()
    assert first.startswith("3 faces of 20x20 pixels, 0.0 MB in ")
    assert second == f"fingerprint: {store.fingerprint}"
    assert third == "Skipped: 1" and "broken.png: " in fourth


def test_bad_input_is_one_sentence_and_code_2(folder, tmp_path):
    out = tmp_path / "faces.npz"
    for arguments, sentence in [
        ((), "--faces is missing"),
        (("--faces", folder, "--out", out), "20x20"),
        (("--faces", tmp_path / "absent", "--out", out), "absent"),
        (("--faces", folder, "--out", tmp_path / "faces.npy", "--quality", 90, "--minimum_size", 16), "quality"),
    ]:
        finished = command(*arguments)
        assert finished.returncode == 2 and sentence in finished.stderr, finished.stderr
        assert "Traceback" not in finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]
