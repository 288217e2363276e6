import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from skimage import data

from deblur_zoo.data.face_store import fingerprint
from deblur_zoo.models.one_step import OneStep
from deblur_zoo.zoo.presets import save_preset

ROOT = pathlib.Path(__file__).parents[2]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "deblur_zoo.evaluation", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A preset that returns its input: sharp in, sharp out is 60 dB, the gain 0."""
    model = OneStep(width=4, reduced_width=4, modules=1, kernel_sizes=(1,), scale=4, image_skip=True)
    model.build()
    folder = tmp_path_factory.mktemp("preset")
    save_preset(model, folder, "unchanging")
    return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Three crops of a public-domain photo with a margin of 16 that says so: it is black."""
    folder = tmp_path_factory.mktemp("crops")
    photo = data.astronaut()
    for index, left in enumerate((150, 160, 170)):
        crop = np.zeros((160, 160, 3), np.uint8)
        crop[16:144, 16:144] = photo[40:168, left : left + 128]
        Image.fromarray(crop).save(folder / f"{index}.png")
    return folder


def small_identity_network(path):
    inputs = keras.Input((112, 112, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(inputs)
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(16)(x))
    keras.Model(inputs, keras.layers.Dense(16)(x)).save(path)
    return path


def test_table_files_and_sheet(preset, faces, tmp_path):
    network = small_identity_network(tmp_path / "identity.keras")
    out, sheet = tmp_path / "out", tmp_path / "pictures" / "sheet.png"
    finished = run(
        *("--preset", preset, "--faces", faces, "--out", out, "--identity_network", network, "--limit", 2),
        *("--sheet", sheet, "--sheet_faces", 2),
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert (out / "table.md").read_text(encoding="utf-8") in finished.stdout
    assert metrics["faces"] == 2 and metrics["pairs"] == 16
    assert metrics["overall"]["psnr_gain"]["mean"] == 0
    # The black margin would drag this down if it were measured or blurred in.
    assert 15 < metrics["overall"]["blurred"]["psnr"]["mean"] < 30
    assert metrics["sharp_in"]["psnr"]["mean"] == 60
    assert 0 < metrics["overall"]["restored"]["identity_cosine"]["mean"] < 1
    assert metrics["model"]["name"] == "unchanging"
    assert metrics["data"]["fingerprint"] == fingerprint([faces / "1.png", faces / "0.png"])
    assert Image.open(sheet).size[1] > 3 * 256


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--faces", "FACES"], "--preset is missing"),
        (["--preset", "PRESET"], "--faces is missing"),
        (["--preset", "PRESET", "--faces", "FACES/none"], "--faces"),
        (["--preset", "PRESET", "--faces", "FACES", "extra"], "unexpected argument 'extra'"),
        (["--preset", "PRESET", "--faces", "FACES", "--kernels_per_size", "11"], "kernels_per_size"),
        (["--preset", "PRESET", "--faces", "FACES", "--out", "FACES/0.png"], "0.png"),
        (["--preset", "PRESET", "--faces", "FACES", "--sheet", "sheet.doc"], "sheet.doc"),
    ],
)
def test_bad_flags_give_one_sentence_and_code_2(preset, faces, arguments, sentence):
    places = {"PRESET": str(preset), "FACES": str(faces)}
    for name, path in places.items():
        arguments = [argument.replace(name, path) for argument in arguments]
    finished = run(*arguments)
    assert finished.returncode == 2
    assert sentence in finished.stderr and len(finished.stderr.strip().splitlines()) == 1


def test_bad_input_writes_nothing(preset, faces, tmp_path):
    (tmp_path / "crops").mkdir()
    Image.fromarray(np.zeros((140, 150, 3), np.uint8)).save(tmp_path / "crops" / "a.png")
    (tmp_path / "wrong.keras").write_text("not a network")
    faulty = [
        (["--faces", tmp_path / "crops"], "align photos with"),
        (["--faces", faces, "--identity_network", tmp_path / "wrong.keras"], "wrong.keras"),
    ]
    for arguments, sentence in faulty:
        finished = run("--preset", preset, "--out", tmp_path / "out", *arguments)
        assert finished.returncode == 2
        assert sentence in finished.stderr.splitlines()[-1]
        assert not (tmp_path / "out").exists()
