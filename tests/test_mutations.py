"""Files that were damaged on the way are refused with ValueError, whatever the damage. Seeds are fixed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from deblur_zoo.zoo import golden

if keras.backend.backend() != "tensorflow":
    pytest.skip("exports are written by the TensorFlow backend", allow_module_level=True)
ROOT = Path(__file__).parents[1]
FORMATS = ("tar.gz", "zip", "weights.h5", "config.json", "keras", "index.json", "npz", "tflite", "onnx", "saved_model")
# Each is read within milliseconds.
QUICK = ("tar.gz", "zip", "weights.h5", "index.json", "npz")


@pytest.fixture
def make(tmp_path, tiny_preset, tiny_model):
    """A function of a format to a whole file or folder of it."""

    def make_source(form):
        if form in ("tar.gz", "zip"):
            kind = {"tar.gz": "gztar", "zip": "zip"}[form]
            return Path(shutil.make_archive(str(tmp_path / "archive"), kind, tiny_preset))
        if form == "weights.h5":
            return tiny_preset / "model.weights.h5"
        if form == "config.json":
            folder = tmp_path / "config"
            folder.mkdir()
            return Path(shutil.copy(tiny_preset / "config.json", folder)).parent
        if form == "index.json":
            folder = tmp_path / "index"
            folder.mkdir()
            entry = {
                "kind": "deblurrer",
                "weights_sha256": "0" * 64,
                "training": {"steps": 7},
                "measured": {"psnr": 30},
            }
            (folder / "index.json").write_text(json.dumps({"format_version": 1, "presets": {"tiny": entry}}))
            return folder
        if form == "keras":
            tiny_model.save(tmp_path / "tiny.keras")
            return tmp_path / "tiny.keras"
        if form == "npz":
            golden.write(tiny_model, tmp_path, "0" * 64)
            return tmp_path / golden.FILE
        return export(form)

    def export(form):
        from exporters import onnx_conversion, saved_model, tflite_model
        from exporters.information import information

        described = information("tiny")
        if form == "onnx":
            onnx_conversion.write(tiny_model, tmp_path / "tiny.onnx", described)
            return tmp_path / "tiny.onnx"
        if form == "tflite":
            tflite_model.export(tiny_model, tmp_path / "tflite", information=described, size=(16, 16),
                                precisions=["float32"])  # fmt: skip
            return next((tmp_path / "tflite").glob("*.tflite"))
        saved_model.write(tiny_model, tmp_path / "saved_model")
        saved_model.write_information(described, tmp_path / "saved_model")
        return tmp_path / "saved_model"

    return make_source


def read(preset, count, sources):
    """Dict of each format's results; ``sources``: dict of a format to a path."""
    pairs = [f"{form}={source}" for form, source in sources.items()]
    finished = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "mutations.py"), str(preset), "0", str(count), *pairs],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=7200,
    )
    assert finished.returncode == 0, f"exit code {finished.returncode}, last words {finished.stderr[-1000:]}"
    return json.loads(finished.stdout)


def test_some_damaged_files_of_the_quick_formats(make, tiny_preset):
    for form, result in read(tiny_preset, 50, {form: make(form) for form in QUICK}).items():
        assert result["faults"] == [], form
        # Not all are: what lies between a weight file's values, or in an archive's padding, says nothing.
        assert result["refused"] >= 12, form


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_two_thousand_damaged_files_of_every_format(make, tiny_preset, form):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    if form == "tflite":
        pytest.importorskip("ai_edge_litert.interpreter")
    result = read(tiny_preset, 2000, {form: make(form)})[form]
    assert result["faults"] == []
    assert result["refused"] >= 500
