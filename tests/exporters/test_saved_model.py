import io
import json

import numpy as np
import pytest
from PIL import Image

keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("SavedModels are written by the TensorFlow backend", allow_module_level=True)

import tensorflow as tf  # noqa: E402
from tensorflow.core.framework import tensor_pb2  # noqa: E402

from deblur_zoo.files.checksum import sha256_of  # noqa: E402
from deblur_zoo.serving import protocol  # noqa: E402
from exporters import saved_model  # noqa: E402
from exporters.verify import VerificationError  # noqa: E402

INFORMATION = {"format_version": 1, "preset": "small", "kind": "deblurrer", "paper": {"title": "Köpfe"}}


@pytest.fixture(scope="module")
def model(make_small_model):
    return make_small_model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = saved_model.FORMAT.target("small", tmp_path_factory.mktemp("exported"), 1)
    return path, saved_model.export(model, path, information=INFORMATION)


def encoded(pixels, form, **options):
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, form, **options)
    return buffer.getvalue()


def test_export_writes_the_serving_layout_and_nothing_else(exported):
    path, compared = exported
    assert path.parts[-2:] == ("small", "1")
    assert (path / "saved_model.pb").exists()
    assert [entry.name for entry in path.parent.iterdir()] == ["1"]
    titles = [result.case.title for result in compared]
    for shape in ("1 of 1x1 pixels", "3 of 7x13 pixels", "1 of 128x128 pixels", "3 of 128x128 pixels"):
        assert shape in titles
    assert all(result.passed for result in compared)
    # The model must change the pictures, or equality would say nothing.
    assert all(np.abs(result.case.expected - result.case.request).max() > 0.05 for result in compared[:5])


def test_warm_up_records_run_on_every_signature(exported):
    path, _ = exported
    signatures = tf.saved_model.load(str(path)).signatures
    records = tf.data.TFRecordDataset(str(path / "assets.extra" / "tf_serving_warmup_requests"))
    shapes = {name: [] for name in signatures}
    for record in records.as_numpy_iterator():
        request = protocol.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.name == "small"
        # As TensorFlow Serving reads them.
        inputs = {
            name: tf.make_ndarray(tensor_pb2.TensorProto.FromString(tensor.SerializeToString()))
            for name, tensor in request.inputs.items()
        }
        signature = signatures[request.model_spec.signature_name]
        (restored,) = signature(**{name: tf.constant(values) for name, values in inputs.items()}).values()
        (sent,) = inputs.values()
        assert restored.shape == sent.shape
        shapes[request.model_spec.signature_name].append(sent.shape)
    assert shapes == {"serving_default": [(1, 128, 128, 3), (16, 128, 128, 3)], "serving_bytes": [(1,), (1,)]}
    # Constant faces are stored as one value.
    assert (path / "assets.extra" / "tf_serving_warmup_requests").stat().st_size < 3000


def test_information_is_written_beside_the_graph(exported, model, tmp_path):
    path, _ = exported
    stored = json.loads((path / "assets.extra" / "deblur_zoo.json").read_text(encoding="utf-8"))
    files = stored.pop("files")
    assert stored == INFORMATION
    assert {"saved_model.pb", "variables/variables.index", "assets.extra/tf_serving_warmup_requests"} <= set(files)
    assert files["saved_model.pb"] == sha256_of(path / "saved_model.pb")
    with pytest.raises(TypeError, match="not JSON serializable"):
        saved_model.export(model, tmp_path / "small" / "1", information={"preset": {1}})
    assert list(tmp_path.iterdir()) == []


def test_both_signatures_by_name(exported, model):
    signatures = tf.saved_model.load(str(exported[0])).signatures
    assert sorted(signatures) == ["serving_bytes", "serving_default"]
    images = np.random.default_rng(1).random((2, 9, 30, 3), dtype=np.float32)
    restored = signatures["serving_default"](images=tf.constant(images))["restored"].numpy()
    np.testing.assert_allclose(restored, model(images).numpy(), atol=1e-5)


def test_encoded_pictures_of_every_kind(exported, model):
    restore = tf.saved_model.load(str(exported[0])).signatures["serving_bytes"]
    colour = np.random.default_rng(2).integers(0, 256, (20, 31, 4), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    as_sent = Image.fromarray(colour[..., :3])
    files = {
        "jpeg": (encoded(colour[..., :3], "JPEG", quality=85), None),
        "cmyk jpeg": (encoded(as_sent.convert("CMYK"), "JPEG"), None),
        "palette": (encoded(as_sent.quantize(32), "PNG"), None),
        "alpha is dropped": (encoded(colour, "PNG"), colour[..., :3]),
        "exif is not applied": (encoded(as_sent, "PNG", exif=turned), colour[..., :3]),
        "grey": (encoded(colour[:5, :8, 0], "PNG"), colour[:5, :8, :1].repeat(3, axis=-1)),
    }
    answers = restore(encoded=tf.constant([data for data, _ in files.values()]))["restored_bytes"].numpy()
    for (name, (data, pixels)), answer in zip(files.items(), answers, strict=True):
        if pixels is None:
            pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        picture = Image.open(io.BytesIO(answer))
        assert (picture.format, picture.mode) == ("PNG", "RGB"), name
        expected = 255 * model(pixels[None].astype(np.float32) / 255).numpy()[0]
        # Half a level of rounding, and one of JPEG decoders that may differ.
        assert np.abs(np.asarray(picture) - expected).max() < 1.51, name


def test_no_picture_fails_the_batch(exported):
    restore = tf.saved_model.load(str(exported[0])).signatures["serving_bytes"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        restore(encoded=tf.constant([b"no picture"]))


def test_wrong_written_weights_are_found_and_leave_the_old_version(model, tmp_path, monkeypatch):
    old = tmp_path / "small" / "1"
    old.mkdir(parents=True)
    (old / "saved_model.pb").write_text("old")
    right = saved_model.write

    def write_one_wrong_weight(model, folder):
        bias = model.last.bias
        kept = bias.numpy()
        bias.assign(kept + [0.001, 0, 0])
        right(model, folder)
        bias.assign(kept)

    monkeypatch.setattr(saved_model, "write", write_one_wrong_weight)
    with pytest.raises(FileExistsError):
        saved_model.export(model, old)
    with pytest.raises(VerificationError, match="serving_default: .*0.001"):
        saved_model.export(model, old, overwrite=True)
    found = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")]
    assert found == ["small", "small/1", "small/1/saved_model.pb"]
    assert (old / "saved_model.pb").read_text() == "old"
