"""Parsers in every format: probabilities of named classes come out where deblurring models give a picture."""

import json
import zipfile

import numpy as np
import pytest

keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("files are exported by the TensorFlow backend", allow_module_level=True)

import tensorflow as tf  # noqa: E402

from deblur_zoo import exported  # noqa: E402
from deblur_zoo.face_classes import CLASS_NAMES  # noqa: E402
from deblur_zoo.models.face_parser import FaceParser  # noqa: E402
from deblur_zoo.serving import protocol  # noqa: E402
from exporters import onnx_model, saved_model, tf_hub, tflite_model  # noqa: E402
from exporters.information import information  # noqa: E402

INFORMATION = information("small", {"kind": "parser"}, labels=CLASS_NAMES)


@pytest.fixture(scope="module")
def parser():
    model = FaceParser(widths=(4, 6, 8), name="small")
    model.build()
    generator = np.random.default_rng(0)
    for weight in model.weights:
        # Averages and variances too; variances stay positive.
        weight.assign(np.abs(generator.normal(0.5, 0.3, weight.shape)) if "variance" in weight.name
                      else generator.normal(0, 0.4, weight.shape))  # fmt: skip
    return model


@pytest.fixture(scope="module")
def batch(parser):
    images = np.random.default_rng(1).random((2, 24, 32, 3), dtype=np.float32)
    expected = parser(images).numpy()
    # Probabilities, and not all the same ones.
    np.testing.assert_allclose(expected.sum(axis=-1), 1, atol=1e-5)
    assert expected.shape == (2, 24, 32, 11) and expected.std() > 0.02
    return images, expected


def refused(path):
    with pytest.raises(ValueError, match="parser, not a deblurrer"):
        exported.open_exported(path)


def test_what_the_information_says():
    assert INFORMATION["labels"][:2] == ["background", "skin"] and len(INFORMATION["labels"]) == 11
    assert INFORMATION["output"] == {
        "name": "probabilities", "type": "float32", "range": [0, 1], "channels": "one a label", "layout": "NHWC",
    }  # fmt: skip
    assert INFORMATION["input"]["channels"] == "RGB"


def test_saved_model(parser, batch, tmp_path):
    path = tmp_path / "small" / "1"
    assert all(result.passed for result in saved_model.export(parser, path, information=INFORMATION))
    signatures = tf.saved_model.load(str(path)).signatures
    assert list(signatures) == ["serving_default"]
    found = signatures["serving_default"](images=tf.constant(batch[0]))["probabilities"]
    np.testing.assert_allclose(found, batch[1], atol=1e-4)
    records = tf.data.TFRecordDataset(str(path / "assets.extra" / "tf_serving_warmup_requests")).as_numpy_iterator()
    specifications = [protocol.PredictionLog.FromString(record).predict_log.request.model_spec for record in records]
    assert [value.signature_name for value in specifications] == ["serving_default"] * 2
    refused(path)


def test_tflite(parser, batch, tmp_path):
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="the TFLite interpreter is not installed")
    options = {"size": (24, 32), "precisions": ["float32", "float16"]}
    tflite_model.export(parser, tmp_path / "1", information=INFORMATION, **options)
    path = tmp_path / "1" / "small_24x32_float32.tflite"
    interpreter = litert.Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch[0][:1])
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, batch[1][:1], atol=1e-4)
    with zipfile.ZipFile(path) as archive:
        stored = json.loads(archive.read("deblur_zoo.json"))
    assert stored["output"]["shape"] == [1, 24, 32, 11] and stored["labels"] == list(CLASS_NAMES)
    refused(path)


def test_onnx(parser, batch, tmp_path):
    for package in onnx_model.PACKAGES:
        pytest.importorskip(package, reason=f"{package} is not installed (the extra 'onnx')")
    import onnxruntime

    onnx_model.export(parser, tmp_path / "1", information=INFORMATION)
    path = tmp_path / "1" / "small.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_outputs()
    assert given.name == "probabilities" and given.shape == ["batch", "height", "width", 11]
    (found,) = session.run(["probabilities"], {"images": batch[0]})
    np.testing.assert_allclose(found, batch[1], atol=1e-4)
    refused(path)


@pytest.mark.slow
def test_tf_hub(parser, tmp_path):
    try:
        tf_hub.check_backend()
    except RuntimeError as error:
        pytest.skip(str(error))
    compared = tf_hub.export(parser, tmp_path / "small" / "tf_hub" / "2", information=INFORMATION)
    assert len(compared) == 35 and all(result.passed for result in compared)
    card = (tmp_path / "small" / "tf_hub" / "2" / "card.md").read_text()
    for text in ("Labels the pixels", "(N, H, W, 11)", "background, skin, left_brow", "gives `probabilities`"):
        assert text in card, text
    assert "restored" not in card
    refused(tmp_path / "small" / "tf_hub" / "2")
