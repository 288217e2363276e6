import numpy as np
import pytest
from PIL import Image

keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("TFLite files are written by the TensorFlow backend", allow_module_level=True)
pytest.importorskip("ai_edge_litert.interpreter", reason="the TFLite interpreter is not installed")

import deblur_zoo  # noqa: E402
from deblur_zoo.exported import ExportedDeblurrer, tflite_file  # noqa: E402
from exporters import tflite_model  # noqa: E402


@pytest.fixture(scope="module")
def files(make_small_model, tmp_path_factory):
    model = make_small_model()
    folder = tmp_path_factory.mktemp("out")
    pictures = folder / "faces"
    pictures.mkdir()
    for i, picture in enumerate(tflite_model.example_pictures((128, 128), count=16)):
        Image.fromarray(np.rint(255 * picture).astype(np.uint8)).save(pictures / f"{i}.png")
    path = folder / "tflite"
    tflite_model.export(model, path, size=(20, 28), precisions=["float32", "int8"], faces=pictures)
    return model, path / "small_20x28_float32.tflite", path / "small_20x28_int8.tflite"


def test_deblur_gives_what_the_keras_model_gives(files, tmp_path):
    model, floats, integers = files
    batch = np.random.default_rng(3).integers(0, 256, (5, 20, 28, 3), dtype=np.uint8)
    Image.fromarray(batch[0]).save(tmp_path / "face.png")
    with_alpha = np.dstack([batch[0], batch[1][..., :1]])
    grey = batch[0][..., 0]
    loaded = deblur_zoo.load(floats)
    assert isinstance(loaded, ExportedDeblurrer) and loaded.name == "small" and loaded.kind == "deblurrer"
    for pictures in (batch, batch[0], with_alpha, grey, Image.fromarray(batch[0]), tmp_path / "face.png"):
        expected = model.deblur(pictures)
        found = loaded.deblur(pictures, batch_size=2)
        assert found.dtype == np.uint8 and found.shape == expected.shape
        # Rounding may fall to either side.
        assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.abs(model.deblur(batch).astype(int) - batch).max() > 10
    loaded = deblur_zoo.load(str(integers))
    assert np.abs(loaded.deblur(batch).astype(int) - model.deblur(batch)).mean() < 6


def test_a_restorer_takes_it(files, tmp_path):
    model, floats, _ = files
    pictures = np.random.default_rng(4).integers(0, 256, (2, 20, 28, 3), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "in" / f"{i}.png")
    report = deblur_zoo.Restorer(str(floats), crops=True).restore_folder(tmp_path / "in", tmp_path / "out")
    assert len(report.restored) == 2 and not report.failed
    with pytest.raises(ValueError, match="only 20x28 pixels.*--crops"):
        deblur_zoo.Restorer(str(floats))
    found = np.asarray(Image.open(tmp_path / "out" / "1.png")).astype(int)
    assert np.abs(found - model.deblur(pictures[1])).max() <= 1


def test_another_size_is_refused_with_the_way_out(files):
    loaded = deblur_zoo.load(files[1])
    with pytest.raises(ValueError, match="takes pictures of 20x28 pixels .* not 28x20: .* --size"):
        loaded.deblur(np.zeros((28, 20, 3), np.uint8))
    with pytest.raises(ValueError, match=r"shape \(N, H, W, 3\)"):
        loaded(np.zeros((20, 28, 3), np.float32))
    with pytest.raises(ValueError, match="not trained"):
        loaded(np.zeros((1, 20, 28, 3), np.float32), training=True)


def test_damage_is_found(files, tmp_path):
    content = files[1].read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="not a TFLite file .*truncated"):
        deblur_zoo.load(cut)
    altered = bytearray(content)
    altered[len(content) // 3] ^= 1
    cut.write_bytes(bytes(altered))
    with pytest.raises(ValueError, match="damaged or was altered"):
        deblur_zoo.load(cut)
    cut.write_bytes(b"")
    with pytest.raises(ValueError, match="not a TFLite file"):
        tflite_file.information(cut)
    with pytest.raises(FileNotFoundError, match="no directory|no file"):
        deblur_zoo.load(tmp_path / "missing.tflite")


def test_what_load_refuses_for_an_exported_file(files):
    with pytest.raises(ValueError, match="its weights are part of it"):
        deblur_zoo.load(files[1], weights=False)
    with pytest.raises(ValueError, match="exported deblurrer; one of kind 'parser'"):
        deblur_zoo.load(files[1], kind="parser")
