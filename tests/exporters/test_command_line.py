import pathlib

import keras
import numpy as np
import pytest

from deblur_zoo.models.one_step import OneStep
from deblur_zoo.zoo.presets import save_preset
from tests.commands import run_python

if keras.backend.backend() != "tensorflow":
    pytest.skip("SavedModels are written by the TensorFlow backend", allow_module_level=True)
ROOT = pathlib.Path(__file__).parents[2]


def run(*arguments, code=None):
    """The command, or a small program around it."""
    program = ["-m", "exporters"] if code is None else ["-c", code]
    return run_python(*program, *arguments)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    model = OneStep(width=4, reduced_width=4, modules=1, kernel_sizes=(3,), scale=4, image_skip=True)
    model.build()
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(0.2 * generator.standard_normal(weight.shape))
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    save_preset(model, folder, "tiny")
    return folder


def test_exports_says_what_it_measured_and_refuses_a_second_time(preset, tmp_path):
    flags = ("--preset", preset, "--format", "saved_model", "--out", tmp_path)
    finished = run(*flags)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "serving_default: 3 of 7x13 pixels: largest difference" in finished.stdout
    assert "serving_bytes: JPEG: largest difference" in finished.stdout
    assert "12 comparisons passed in a fresh process" in finished.stdout
    assert (tmp_path / "tiny" / "1" / "saved_model.pb").exists()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    finished = run(*flags)
    assert finished.returncode == 2
    assert "--overwrite" in finished.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


# Three exports in one process: of a model that has changed since it was written, and twice onto a full disk.
FAULTS = """
import os, pathlib, sys
import tensorflow as tf
import exporters.__main__
import exporters.saved_model as saved_model
right = saved_model.write
def write_then_change(model, folder):
    right(model, folder)
    model.last.bias.assign(model.last.bias + 0.01)
def full_disk(error):
    def write(model, folder):
        (folder / "saved_model.pb").write_text("half")
        raise error
    return write
for write in (
    write_then_change,
    full_disk(OSError(28, "No space left on device")),
    full_disk(tf.errors.ResourceExhaustedError(None, None, "{{node a}} No space left")),
):
    saved_model.write = write
    try:
        exporters.__main__.main()
    except SystemExit as end:
        print("exit code", end.code, "left", os.listdir(pathlib.Path(sys.argv[-1]).parent), file=sys.stderr)
"""


def test_a_fault_leaves_nothing_and_gives_one_sentence(preset, tmp_path):
    finished = run("--preset", preset, "--out", tmp_path / "out", code=FAULTS)
    assert finished.returncode == 0 and "wrote" not in finished.stdout
    assert "Traceback" not in finished.stderr
    lines = [line for line in finished.stderr.splitlines() if line.startswith(("deblur-zoo-export: ", "exit code "))]
    changed, changed_code, full, full_code, full_too, full_too_code = lines
    assert changed_code == "exit code 1 left []"
    assert "differ from the Keras model" in changed and "no files were written" in changed
    assert full_code == full_too_code == "exit code 2 left []"
    for line in (full, full_too):
        assert "saved_model: " in line and "cannot be written: No space left" in line
        assert "no files were written" in line


def test_tflite_files_of_another_size(preset, tmp_path):
    pytest.importorskip("ai_edge_litert.interpreter", reason="the TFLite interpreter is not installed")
    flags = ("--preset", preset, "--format", "tflite", "--out", tmp_path, "--size", "16x24", "--precisions", "float16")
    finished = run(*flags)
    assert finished.returncode == 0, finished.stderr
    assert "float16: " in finished.stdout and "dB from the Keras model (at least 50)" in finished.stdout
    folder = tmp_path / "tiny" / "tflite" / "1"
    assert {path.name for path in folder.iterdir()} == {"tiny_16x24_float16.tflite", "report.tsv"}


def test_a_preset_without_weights_is_refused(preset, tmp_path):
    model = OneStep(width=4, reduced_width=4, modules=1, kernel_sizes=(3,))
    model.build()
    save_preset(model, tmp_path / "bare", "bare", weights=False, without_weights="Use one_step_lite.")
    finished = run("--preset", tmp_path / "bare", "--out", tmp_path / "out")
    assert finished.returncode == 2
    assert "'bare' has no trained weights. Use one_step_lite." in finished.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "x"], "--preset is missing"),
        (["--preset", "one_step_paper"], "--out is missing"),
        (["--preset", "one_step_paper", "--out", "x", "--format", "floppy"], "floppy"),
        (["--preset", "one_step_paper", "--out", "x", "--version", "0"], "version"),
        (["--preset", "one_step_paper", "--out", "README.md/x", "extra"], "unexpected argument 'extra'"),
        (["--preset", "one_step_paper", "--out", "pyproject.toml"], "--out must be a folder"),
        (["--preset", "one_step_paper", "--colour", "red"], "colour"),
        (
            ["--preset", "one_step_paper", "--out", "x", "--size", "256"],
            "--size is for the format tflite, and --format is saved",
        ),
        (["--preset", "one_step_paper", "--out", "x", "--onnx_float16"], "--onnx_float16 is for the format onnx"),
        (["--preset", "one_step_paper", "--out", "x", "--format", "tflite", "--size", "0x9"], "--size"),
        (["--preset", "one_step_paper", "--out", "x", "--format", "tflite", "--precisions", "int4"], "int4"),
        (["--preset", "one_step_paper", "--out", "x", "--format", "tflite", "--precisions", "int8"], "--faces"),
        (["--preset", "one_step_paper", "--out", "x", "--format", "tflite", "--faces", "nowhere"], "nowhere"),
    ],
)
def test_bad_flags_give_one_sentence_and_code_2(arguments, sentence):
    finished = run(*arguments)
    assert finished.returncode == 2
    assert sentence in finished.stderr and len(finished.stderr.strip().splitlines()) == 1


def test_help_lists_the_flags_of_every_format():
    finished = run("--help")
    assert finished.returncode == 0
    for flag in ("--preset", "--size", "--precisions", "--faces", "--[no]onnx_float16"):
        assert flag in finished.stdout
