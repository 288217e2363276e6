import json
import pathlib
import zipfile

import numpy as np
import pytest
from PIL import Image

keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("TFLite files are written by the TensorFlow backend", allow_module_level=True)
litert = pytest.importorskip("ai_edge_litert.interpreter", reason="the TFLite interpreter is not installed")

import tensorflow as tf  # noqa: E402

from deblur_zoo.models.one_step import OneStep  # noqa: E402
from exporters import tflite_check, tflite_conversion, tflite_model  # noqa: E402
from exporters.information import information  # noqa: E402
from exporters.verify import VerificationError  # noqa: E402

SIZE = (24, 32)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Drawn pictures of 128x128 pixels in place of faces."""
    folder = tmp_path_factory.mktemp("faces")
    for i, picture in enumerate(tflite_model.example_pictures((128, 128), count=20)):
        Image.fromarray(np.rint(255 * picture).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def exported(make_small_model, faces, tmp_path_factory):
    model = make_small_model()
    path = tflite_model.FORMAT.target("small", tmp_path_factory.mktemp("out"), 3)
    results = tflite_model.export(model, path, information=information("small"), size=SIZE, faces=faces)
    return model, path, results


def run(path, picture):
    """One picture through the interpreter, without the project's code."""
    interpreter = litert.Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]


def test_a_file_for_each_precision_and_a_report(exported):
    _, path, results = exported
    assert path.parts[-3:] == ("small", "tflite", "3")
    names = {f"small_24x32_{precision}.tflite" for precision in tflite_model.PRECISIONS}
    assert {entry.name for entry in path.iterdir()} == names | {"report.tsv"}
    assert [result.precision for result in results] == list(tflite_model.PRECISIONS)
    rows = [line.split("\t") for line in (path / "report.tsv").read_text().splitlines()]
    assert rows[0][0] == "precision" and [row[0] for row in rows[1:]] == list(tflite_model.PRECISIONS)
    for row in rows[1:]:
        assert float(row[1]) >= float(row[2]) and float(row[3]) > 0 and float(row[4]) > 0
        assert int(row[5]) == (path / f"small_24x32_{row[0]}.tflite").stat().st_size


def test_float_files_give_what_the_model_gives(exported):
    model, path, _ = exported
    picture = tflite_model.example_pictures(SIZE, count=1, seed=9)[0]
    expected = np.asarray(model(picture[None]))[0]
    assert np.abs(expected - picture).max() > 0.05
    np.testing.assert_allclose(run(path / "small_24x32_float32.tflite", picture), expected, atol=1e-5)
    # Weights of eleven bits.
    np.testing.assert_allclose(run(path / "small_24x32_float16.tflite", picture), expected, atol=5e-3)


def test_the_integer_file_takes_and_gives_bytes_as_it_says(exported):
    model, path, _ = exported
    file = path / "small_24x32_int8.tflite"
    with zipfile.ZipFile(file) as archive:
        inside = json.loads(archive.read("deblur_zoo.json"))
    picture = tflite_model.example_pictures(SIZE, count=1, seed=9)[0]
    taken, given = inside["input"], inside["output"]
    sent = np.clip(np.rint(picture / taken["scale"]) + taken["zero_point"], 0, 255).astype(np.uint8)
    restored = run(file, sent)
    assert restored.dtype == np.uint8
    values = given["scale"] * (restored.astype(np.float32) - given["zero_point"])
    assert tflite_check.worst_psnr(np.asarray(model(picture[None])), values[None]) > 30
    # Black and white were among what the ranges come from.
    for tensor in (taken, given):
        lowest, highest = (tensor["scale"] * (byte - tensor["zero_point"]) for byte in (0, 255))
        assert lowest <= 0.01 and highest >= 0.99


def test_the_file_says_what_it_is(exported):
    _, path, _ = exported
    for precision, form in (("float32", ("float32", [0, 1])), ("int8", ("uint8", [0, 1]))):
        with zipfile.ZipFile(path / f"small_24x32_{precision}.tflite") as archive:
            assert archive.namelist() == ["deblur_zoo.json"]
            inside = json.loads(archive.read("deblur_zoo.json"))
        assert (inside["preset"], inside["precision"]) == ("small", precision)
        assert (inside["input"]["type"], inside["input"]["range"]) == form
        assert inside["input"]["shape"] == inside["output"]["shape"] == [1, 24, 32, 3]
        assert inside["input"]["channels"] == "RGB"
        assert inside["alignment"]["points"]["left_eye"] == [0.345, 0.335]


def test_only_builtin_operators(exported):
    _, path, _ = exported
    for file in path.glob("*.tflite"):
        assert tflite_conversion.foreign_operators(file.read_bytes()) == []


def plus(layer_class, name):
    """A ``OneStep`` that adds what a layer makes of the pictures to what it restores."""

    class Plus(OneStep):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.added = layer_class(name=name)

        def restore(self, images, training=False):
            return super().restore(images) + self.added(images)

    return Plus


def test_an_operator_without_builtin_is_named_with_its_layer(make_small_model, tmp_path):
    class Strange(keras.layers.Layer):
        def call(self, features):
            return tf.math.igamma(1 + features, features)

    with pytest.raises(ValueError, match="Igamma .*strange_layer"):
        tflite_model.export(
            make_small_model(plus(Strange, "strange_layer")), tmp_path / "out", size=SIZE, precisions=["float32"]
        )
    assert list(tmp_path.iterdir()) == []


class DeadSum(keras.layers.Layer):
    def call(self, features):
        return tf.nn.relu(-2.0 * features + -3.0 * features[..., ::-1])


class DeadConvolution(keras.layers.Layer):
    def call(self, features):
        return tf.nn.relu(tf.nn.conv2d(features, -20.0 * tf.ones((3, 3, 3, 3)), 1, "SAME"))


@pytest.mark.parametrize("dead", [DeadSum, DeadConvolution])
def test_a_feature_that_no_face_wakes_is_named(dead, make_small_model, faces, tmp_path):
    """Without the check the interpreter ends its process on this file, so nothing says why."""
    model = make_small_model(plus(dead, "dead_layer"))
    with pytest.raises(ValueError, match="^int8.*dead_layer"):
        tflite_model.export(model, tmp_path / "out", size=SIZE, precisions=["int8"], faces=faces)
    assert list(tmp_path.iterdir()) == []
    tflite_model.export(model, tmp_path / "out", size=SIZE, precisions=["dynamic_int8"], faces=faces)


def test_a_wrong_file_is_found_and_leaves_nothing(make_small_model, tmp_path, monkeypatch):
    model, right = make_small_model(), tflite_conversion.convert

    def convert_wrong_weights(saved, precision, calibration=None):
        content = right(saved, precision, calibration)
        model.last.bias.assign(model.last.bias + 0.01)
        return content

    monkeypatch.setattr(tflite_conversion, "convert", convert_wrong_weights)
    with pytest.raises(VerificationError, match="float32 .*60"):
        tflite_model.export(model, tmp_path / "a" / "b", size=SIZE, precisions=["float32"])
    assert list(tmp_path.iterdir()) == []


def test_nan_is_found(make_small_model, tmp_path):
    model = make_small_model()
    model.last.bias.assign([np.nan, 0, 0])
    with pytest.raises(VerificationError, match="NaN"):
        tflite_model.export(model, tmp_path / "out", size=SIZE, precisions=["float32"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"precisions": ["int8"]}, "int8 .*sharp aligned faces"),
        ({"precisions": ["int4"]}, "int4 .*float32, float16, dynamic_int8, int8"),
        ({"precisions": []}, "not a precision"),
        ({"size": (0, 128)}, "0x128"),
        ({"size": (128, 4096)}, "128x4096"),
    ],
)
def test_wrong_options_are_refused(make_small_model, options, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        tflite_model.export(make_small_model(), tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_too_few_faces_are_refused(make_small_model, tmp_path):
    for i in range(3):
        Image.fromarray(np.full((128, 128, 3), 60 * i, np.uint8)).save(tmp_path / f"{i}.png")
    with pytest.raises(ValueError, match="3 faces.*16"):
        tflite_model.export(make_small_model(), tmp_path / "out", faces=tmp_path)


def test_worst_psnr_by_hand():
    expected = np.zeros((2, 4, 4, 3))
    found = expected.copy()
    found[1] += 0.1
    assert tflite_check.worst_psnr(expected, found) == pytest.approx(20.0)
    assert tflite_check.worst_psnr(expected, expected) == pytest.approx(150.0)


def test_the_program_imports_neither_tensorflow_nor_the_project():
    source = pathlib.Path(tflite_check.PROGRAM).read_text()
    assert not any(name in source for name in ("import tensorflow", "import keras", "deblur_zoo"))
