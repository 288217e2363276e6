import numpy as np
import pytest

from deblur_zoo import exported, zoo
from deblur_zoo.exported import ExportedDeblurrer
from deblur_zoo.zoo import registry


def doubled(images):
    """In place of a network; its result shows which batches came."""
    return np.clip(2 * images, 0, 1)


def test_calling_and_deblurring_without_a_file():
    model = ExportedDeblurrer(doubled, {"preset": "some"})
    batch = np.full((3, 2, 5, 3), 20, np.uint8)
    np.testing.assert_array_equal(model.deblur(batch, batch_size=2), np.full_like(batch, 40))
    np.testing.assert_array_equal(model.deblur(batch[0, ..., 0]), np.full((2, 5), 40))
    np.testing.assert_allclose(model(batch / 255.0), 40 / 255, rtol=1e-6)
    assert model.run(batch / 255.0).dtype == np.float32
    with pytest.raises(ValueError, match=r"shape \(N, H, W, 3\)"):
        model(np.zeros((1, 0, 5, 3)))
    np.testing.assert_array_equal(model.deblur(batch, passes=2), np.full_like(batch, 80))
    with pytest.raises(ValueError, match="at least 1"):
        model.deblur(batch, passes=0)
    with pytest.raises(TypeError, match=r"not uint8: divide by 255.*\.deblur\(\)"):
        model(batch)


def test_which_module_reads_what(tmp_path):
    names = [
        "a.tflite",
        "b.onnx",
        "c.tar.gz",
        "d.zip",
        "model/saved_model.pb",
        "served/12/saved_model.pb",
        "other/x.pb",
        "e.tgz",
        "hub/2/model/saved_model.pb",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = {name: exported.reader_of(tmp_path / name) for name in names if "/" not in name}
    assert [value and value.split(".")[-1] for value in found.values()] == [
        "tflite_file",
        "onnx_file",
        "saved_model_folder",
        None,
        "saved_model_folder",
    ]
    for name in ("model", "served", "hub", "hub/2"):
        assert exported.reader_of(tmp_path / name) == exported.SAVED_MODEL
    assert exported.reader_of(tmp_path / "other") is None and exported.reader_of(tmp_path / "missing.onnx") is None
    with pytest.raises(ValueError, match="d.zip is not an exported model"):
        exported.open_exported(tmp_path / "d.zip")
    with pytest.raises(ValueError, match="is a file, not a preset: .* saved .keras models and exported SavedModels"):
        zoo.load(tmp_path / "d.zip")


def test_a_presets_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "one_step_lite").mkdir()
    (tmp_path / "one_step_lite" / "saved_model.pb").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert not registry._is_exported("one_step_lite")
    assert registry._is_exported("./one_step_lite")
