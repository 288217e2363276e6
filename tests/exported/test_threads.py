"""Loaded models of every kind, called from several threads: each picture gets its own result."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import deblur_zoo

if keras.backend.backend() != "tensorflow":
    pytest.skip("exports are written by the TensorFlow backend", allow_module_level=True)

SIZE = (48, 40)
NEEDED = {"tflite": "ai_edge_litert", "onnx": "onnxruntime"}


@pytest.fixture(scope="module")
def path_of(make_small_model, tmp_path_factory):
    """A function of a kind to the path of a file or folder of it."""
    from exporters import onnx_conversion, saved_model, tflite_model

    folder, model = tmp_path_factory.mktemp("kinds"), make_small_model()

    def path(kind):
        if kind == "keras":
            model.save(folder / "small.keras")
            return folder / "small.keras"
        if kind == "tflite":
            tflite_model.export(model, folder / "tflite", size=SIZE, precisions=["float32"])
            return folder / "tflite" / f"small_{SIZE[0]}x{SIZE[1]}_float32.tflite"
        information = {"format_version": 1, "preset": "small", "kind": "deblurrer"}
        if kind == "onnx":
            onnx_conversion.write(model, folder / "small.onnx", information)
            return folder / "small.onnx"
        saved_model.write(model, folder / "saved_model")
        saved_model.write_information(information, folder / "saved_model")
        return folder / "saved_model"

    return path


@pytest.mark.parametrize("kind", ["keras", "saved_model", "tflite", "onnx"])
def test_each_thread_gets_its_own_picture(path_of, make_small_model, kind):
    if kind in NEEDED and importlib.util.find_spec(NEEDED[kind]) is None:
        pytest.skip(f"{NEEDED[kind]} is not installed")
    pictures = np.random.default_rng(0).integers(0, 256, (20, *SIZE, 3), dtype=np.uint8)
    expected = make_small_model().deblur(pictures).astype(int)
    assert np.abs(expected[0] - expected[1]).max() > 50
    model = deblur_zoo.load(path_of(kind))
    order = list(range(20)) * 5
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: model.deblur(pictures[i]), order))
    # Rounding may fall to either side.
    assert max(np.abs(result - expected[i]).max() for i, result in zip(order, found, strict=True)) <= 1
