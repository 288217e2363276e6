import ast
import importlib.util
import json

import numpy as np
import pytest

keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("ONNX files are written by the TensorFlow backend", allow_module_level=True)
onnx = pytest.importorskip("onnx", reason="onnx is not installed (the extra 'onnx')")
pytest.importorskip("tf2onnx", reason="tf2onnx is not installed (the extra 'onnx')")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (the extra 'onnx')")

import tensorflow as tf  # noqa: E402

from deblur_zoo import zoo  # noqa: E402
from deblur_zoo.exported import onnx_file  # noqa: E402
from exporters import onnx_conversion, onnx_graph, onnx_model, verify  # noqa: E402

INFORMATION = {"name": "small", "range": [0, 1], "licence": "© someone"}


@pytest.fixture(scope="module")
def model(make_small_model):
    return make_small_model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = onnx_model.FORMAT.target("small", tmp_path_factory.mktemp("exported"), 3)
    return path, onnx_model.export(model, path, information=INFORMATION)


def test_export_writes_one_file_and_compares_every_size(exported):
    path, compared = exported
    assert path.parts[-3:] == ("small", "onnx", "3")
    assert [str(entry.relative_to(path.parents[1])) for entry in path.parents[1].rglob("*") if entry.is_file()] == [
        "onnx/3/small.onnx"
    ]
    assert [result.case.expected.shape[:3] for result in compared] == list(verify.FLOAT_SHAPES)
    assert all(result.passed and result.case.tolerance == 1e-3 for result in compared)
    # The model must change the pictures, or equality would say nothing.
    assert all(np.abs(result.case.expected - result.case.request).max() > 0.05 for result in compared)


def test_what_the_file_says(exported):
    written = onnx.load(str(exported[0] / "small.onnx"))
    assert {entry.domain: entry.version for entry in written.opset_import}[""] == onnx_conversion.OPSET == 15
    for value, name in zip((*written.graph.input, *written.graph.output), ("images", "restored"), strict=True):
        tensor = value.type.tensor_type
        assert (value.name, tensor.elem_type) == (name, onnx.TensorProto.FLOAT)
        sizes = [dimension.dim_param or dimension.dim_value for dimension in tensor.shape.dim]
        assert sizes == ["batch", "height", "width", 3]
    stored = {entry.key: entry.value for entry in written.metadata_props}
    assert set(stored) == {"deblur_zoo", "deblur_zoo_sha256"} and json.loads(stored["deblur_zoo"]) == INFORMATION


def test_half_precision_is_written_and_compared_too(model, tmp_path):
    compared = onnx_model.export(model, tmp_path / "1", information=INFORMATION, float16=True)
    assert {path.name for path in (tmp_path / "1").iterdir()} == {"small.onnx", "small_float16.onnx"}
    half = [result for result in compared if result.case.title.startswith("float16, ")]
    assert [result.case.expected.shape[:3] for result in half] == list(verify.FLOAT_SHAPES)
    # Half precision is seen, and stays below a level of 8 bits.
    assert all(result.passed and result.case.tolerance == 1 / 255 for result in half)
    assert max(result.difference for result in half) > 1e-4
    written = onnx.load(str(tmp_path / "1" / "small_float16.onnx"))
    # The two limits that the output is clipped to may stay float32.
    weights = [
        constant for constant in written.graph.initializer if np.prod(constant.dims) > 1 and constant.data_type != 7
    ]
    assert weights and {weight.data_type for weight in weights} <= {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT32}
    assert onnx_file.information(tmp_path / "1" / "small_float16.onnx") == {**INFORMATION, "precision": "float16"}
    # Above 2,048 float16 does not hold every whole number: a size must not pass through it.
    wide = np.random.default_rng(2).random((1, 2, 2501, 3), dtype=np.float32)
    restored = onnx_file.open_runner(tmp_path / "1" / "small_float16.onnx")(wide)
    np.testing.assert_allclose(restored, model(wide).numpy(), atol=1 / 255)


def test_half_precision_that_differs_leaves_nothing(model, tmp_path, monkeypatch):
    right = onnx_conversion.write_float16

    def write_other_weights(source, file, information):
        bias = model.last.bias
        kept = bias.numpy()
        bias.assign(kept + [0.01, 0, 0])
        onnx_conversion.write(model, source, information)
        bias.assign(kept)
        right(source, file, information)

    monkeypatch.setattr(onnx_conversion, "write_float16", write_other_weights)
    with pytest.raises(verify.VerificationError, match="float16, .*0.01"):
        onnx_model.export(model, tmp_path / "1", float16=True)
    assert list(tmp_path.iterdir()) == []


def test_whole_numbers_stay_whole():
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None, 3), tf.float32)])
    def function(x, y):
        below = tf.where(x < 3, x + 1, x)
        return {"below": below, "clipped": tf.maximum(below, -5), "part": y[: tf.shape(x)[0], :2], "small": y < 0.5}

    converted = onnx_conversion.convert(function)
    assert not [node for node in converted.graph.node if node.op_type == "Cast" and node.attribute[0].i == 1]
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    # Neither of the first two is a float32.
    x = np.array([2**24 + 1, -(2**24) - 1, 2, 3], np.int32)
    y = np.random.default_rng(0).random((9, 3), dtype=np.float32)
    given = dict(zip((value.name for value in session.get_inputs()), (x, y), strict=True))
    answers = dict(zip((value.name for value in session.get_outputs()), session.run(None, given), strict=True))
    assert answers["below"].tolist() == [2**24 + 1, -(2**24), 3, 3]
    assert answers["clipped"].tolist() == [2**24 + 1, -5, 3, 3]
    np.testing.assert_array_equal(answers["part"], y[:4, :2])
    np.testing.assert_array_equal(answers["small"], y < 0.5)


def test_a_size_that_must_be_a_float_is_refused():
    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32)])
    def mean(values):
        return tf.reduce_sum(values) / tf.cast(tf.shape(values)[0], tf.float32)

    with pytest.raises(ValueError, match="through floats"):
        onnx_conversion.convert(mean)


def test_constants_that_float32_rounded_up_are_clipped():
    limit = onnx.numpy_helper.from_array(np.array([2.0**31], np.float32), "limit")
    nodes = [
        onnx.helper.make_node("Cast", ["sizes"], ["floats"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Max", ["floats", "limit"], ["larger"]),
        onnx.helper.make_node("Cast", ["larger"], ["ends"], to=onnx.TensorProto.INT32),
    ]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT32, ["n"]) for name in ("sizes", "ends")]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", values[:1], values[1:], [limit]),
                                   opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=8)  # fmt: skip
    onnx_graph.keep_whole_numbers(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert session.run(None, {"sizes": np.array([7, 2**31 - 1], np.int32)})[0].tolist() == [2**31 - 1] * 2


def test_the_library_reads_it_back(exported, model):
    path = exported[0] / "small.onnx"
    assert onnx_file.information(path) == INFORMATION
    images = np.random.default_rng(1).random((2, 9, 30, 3), dtype=np.float32)
    np.testing.assert_allclose(onnx_file.open_runner(path)(images), model(images).numpy(), atol=1e-5)


def test_wrong_written_weights_are_found_and_leave_the_old_version(model, tmp_path, monkeypatch):
    old = tmp_path / "small" / "onnx" / "1"
    old.mkdir(parents=True)
    (old / "small.onnx").write_text("old")
    right = onnx_conversion.write

    def write_one_wrong_weight(model, file, information):
        bias = model.last.bias
        kept = bias.numpy()
        bias.assign(kept + [0.002, 0, 0])
        right(model, file, information)
        bias.assign(kept)

    monkeypatch.setattr(onnx_conversion, "write", write_one_wrong_weight)
    with pytest.raises(FileExistsError):
        onnx_model.export(model, old)
    for path, overwrite in ((old, True), (tmp_path / "new" / "onnx" / "1", False)):
        with pytest.raises(verify.VerificationError, match="difference 0.002"):
            onnx_model.export(model, path, overwrite)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert found == ["small", "small/onnx", "small/onnx/1", "small/onnx/1/small.onnx"]
    assert (old / "small.onnx").read_text() == "old"


def test_an_invalid_file_is_refused(model, tmp_path, monkeypatch):
    def write_nonsense(model, file, information):
        value = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [None])
        graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["nothing"], ["images"])], "g", [], [value])
        onnx.save(onnx.helper.make_model(graph), str(file))

    monkeypatch.setattr(onnx_conversion, "write", write_nonsense)
    with pytest.raises(verify.VerificationError, match="not valid ONNX"):
        onnx_model.export(model, tmp_path / "1")
    assert list(tmp_path.iterdir()) == []


def test_whole_numbers_are_divided_as_python_does():
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.int32)])
    def divide(x, y):
        return {"quotient": x // y, "rest": x % y}

    session = onnxruntime.InferenceSession(onnx_conversion.convert(divide).SerializeToString())
    x, y = (values.ravel().astype(np.int32) for values in np.meshgrid(np.arange(-9, 10), [-8, -3, -1, 1, 3, 8]))
    names = [value.name for value in session.get_outputs()]
    given = dict(zip((value.name for value in session.get_inputs()), (x, y), strict=True))
    answers = dict(zip(names, session.run(None, given), strict=True))
    assert answers["quotient"].tolist() == [a // b for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert answers["rest"].tolist() == [a % b for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def test_an_operation_that_onnx_lacks_is_named():
    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32)])
    def special(values):
        with tf.name_scope("odd_layer"):
            return tf.math.digamma(values)

    with pytest.raises(ValueError, match=r"opset 15.* Digamma \(odd_layer/Digamma\)"):
        onnx_conversion.convert(special)


def test_information_that_json_cannot_hold_is_refused_before_any_work(model, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        onnx_model.export(model, tmp_path / "1", information={"range": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["tf2onnx", "onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_extra(monkeypatch, package):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(RuntimeError, match=rf"{package}.*'deblur-zoo\[onnx\]'"):
        onnx_model.check_backend()


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        onnx_model.check_backend()


def test_the_program_that_runs_it_knows_neither_the_project_nor_tensorflow():
    nodes = list(ast.walk(ast.parse(onnx_model.PROGRAM.read_text())))
    assert not any(isinstance(node, ast.ImportFrom) for node in nodes)
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"numpy", "onnxruntime", "sys"}


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.list_models("*_lite", kind="deblurrer"))
def test_every_lite_preset(name, tmp_path):
    try:
        model = zoo.load(name)
    except ValueError:
        # Not trained yet: zeros in the last layers would make it give its input back.
        model = zoo.load(name, weights=False)
        generator = np.random.default_rng(0)
        for weight in model.weights:
            if not np.any(weight.numpy()):
                weight.assign(0.005 * generator.standard_normal(weight.shape))
    compared = onnx_model.export(model, tmp_path / "1", float16=True)
    assert {path.name for path in (tmp_path / "1").iterdir()} == {f"{name}.onnx", f"{name}_float16.onnx"}
    # Neither the input nor all black and white.
    assert all(np.abs(result.case.expected - result.case.request).max() > 1e-3 for result in compared)
    assert all(np.isin(result.case.expected, (0, 1)).mean() < 0.5 for result in compared[1:])
