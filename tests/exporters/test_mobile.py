"""The TFLite files that ship with presets are those of the shipped weights, and give what Python gives."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deblur_zoo import zoo
from deblur_zoo.exported import tflite_file
from deblur_zoo.files import pictures
from deblur_zoo.zoo import presets
from tests.commands import run_python

litert = pytest.importorskip("ai_edge_litert.compiled_model", reason="LiteRT is not installed")

SHIPPED = sorted(zoo.hub_folder().glob("*/mobile"))


FACE = Path(__file__).parents[2] / "examples" / "astronaut_face_blurred.png"


def compiled(path, face):
    """A crop through LiteRT's CompiledModel, the interface of the phone's code, as float [0, 1]."""
    information = tflite_file.information(path)
    taken, given = information["input"], information["output"]
    model = litert.CompiledModel.from_file(str(path))
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    sent = (face[None] / 255.0).astype(np.float32)
    kind = np.uint8 if taken["type"] == "uint8" else np.float32
    if kind is np.uint8:
        sent = np.clip(np.rint(sent / taken["scale"]) + taken["zero_point"], 0, 255).astype(np.uint8)
    inputs[0].write(sent)
    model.run_by_index(0, inputs, outputs)
    values = np.array(outputs[0].read(face.size, kind), np.float64).reshape(face.shape)
    return given["scale"] * (values - given["zero_point"]) if kind is np.uint8 else values


def test_the_preset_of_the_documents_ships_files():
    assert "one_step_lite" in [folder.parent.name for folder in SHIPPED]


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.parent.name)
def test_files_are_those_of_the_shipped_weights(folder):
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in lines} == {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    for sha256, name in lines:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
    files = sorted(folder.glob("*.tflite"))
    assert [path.stem.split("_")[-1] for path in files] == ["float16", "int8"]
    weights = presets.read_config(folder.parent)["weights"]["sha256"]
    command = f"run `python -m exporters.mobile --preset {folder.parent.name} --faces FACES`"
    assert [tflite_file.information(path)["weights_sha256"] for path in files] == [weights] * 2, command


@pytest.mark.parametrize("path", [file for folder in SHIPPED for file in folder.glob("*.tflite")], ids=lambda p: p.stem)
def test_files_give_what_python_gives(path):
    face = pictures.read(FACE)
    expected = np.asarray(zoo.load(path.parent.parent.name)((face[None] / 255.0).astype(np.float32)))[0]
    found = compiled(path, face)
    # On [0, 1]: weights of eleven bits, or everything of eight, five times its root mean square (36 dB).
    tolerance = 0.005 if "float16" in path.stem else 0.08
    assert np.abs(found - expected).max() < tolerance and np.abs(found - expected).mean() < tolerance / 5
    assert np.abs(expected - face / 255.0).mean() > 0.01


def test_the_command_refuses_a_preset_without_weights(tmp_path):
    done = run_python("-m", "exporters.mobile", "--preset", "one_step_paper", "--faces", tmp_path)
    assert done.returncode == 2 and "trained preset" in done.stderr and "one_step_paper" in done.stderr


@pytest.mark.slow
def test_one_command_writes_the_folder(tmp_path, tiny_preset):
    from exporters import mobile
    from exporters.tflite_model import example_pictures

    faces = tmp_path / "faces"
    faces.mkdir()
    for i, picture in enumerate(example_pictures((128, 128), count=20)):
        Image.fromarray(np.rint(255 * picture).astype(np.uint8)).save(faces / f"{i}.png")
    target = tmp_path / "mobile"
    target.mkdir()
    (target / "old").touch()
    results = mobile.ship(tiny_preset, target, faces)
    assert [result.precision for result in results] == ["float16", "int8"]
    assert {path.name for path in target.iterdir()} == {
        "SHA256SUMS",
        "tiny_128x128_float16.tflite",
        "tiny_128x128_int8.tflite",
    }
