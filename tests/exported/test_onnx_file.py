"""With small ONNX files made by hand, so that neither Keras nor the exporter is needed."""

import json
import os
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="ONNX files are made with onnx, which is not installed")
pytest.importorskip("onnxruntime", reason="ONNX files run in onnxruntime, which is not installed")

from deblur_zoo.exported import onnx_file  # noqa: E402

INFORMATION = {"name": "half", "range": [0, 1], "licence": "© someone"}
STORED = json.dumps(INFORMATION)


def half(metadata=STORED, given="images", channels=3, inputs=1, element=onnx.TensorProto.FLOAT):
    """A model that halves its input."""
    shape = ["batch", "height", "width", channels]
    factor = onnx.numpy_helper.from_array(
        np.array([0.5] * channels, onnx.helper.tensor_dtype_to_np_dtype(element)), "f"
    )
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Mul", [given, "f"], ["restored"])],
        "half",
        [onnx.helper.make_tensor_value_info(given if i == 0 else f"more_{i}", element, shape) for i in range(inputs)],
        [onnx.helper.make_tensor_value_info("restored", element, shape)],
        [factor],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=8)
    if metadata is not None:
        onnx.helper.set_model_props(model, {"deblur_zoo": metadata})
    return model


@pytest.fixture
def write(tmp_path):
    def write_model(model, **options):
        path = tmp_path / "half.onnx"
        onnx.save(model, str(path), **options)
        path.write_bytes(onnx_file.sealed(path.read_bytes()))
        return path

    return write_model


def test_reads_the_description_and_runs(write):
    path = write(half())
    assert onnx_file.information(path) == INFORMATION
    restore = onnx_file.open_runner(path)
    for shape in ((1, 1, 1, 3), (2, 5, 9, 3)):
        images = np.random.default_rng(0).random(shape, dtype=np.float32)
        restored = restore(images)
        assert restored.dtype == np.float32
        # 0.5 times a float is exact.
        np.testing.assert_array_equal(restored, images / 2)
    with pytest.raises(ValueError, match=r"must be \(N, H, W, 3\), .* got \(5, 9, 3\)"):
        restore(np.zeros((5, 9, 3), np.float32))


@pytest.mark.parametrize("read", [onnx_file.information, onnx_file.open_runner])
def test_truncated_and_foreign_files_give_one_sentence(write, tmp_path, read):
    whole = write(half()).read_bytes()
    path = tmp_path / "damaged.onnx"
    for content in (b"", b"no model " * 30, whole[: len(whole) // 2], whole[:-9]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged.onnx is not an ONNX file") as caught:
            read(path)
        assert len(str(caught.value).splitlines()) == 1
    for sentence, model in {
        "no key 'deblur_zoo'": half(metadata=None),
        "not a JSON object": half(metadata="{"),
        "is not a JSON object": half(metadata="[1]"),
        "its only input must be 'images'": half(given="x"),
        "only input": half(inputs=2),
        r"float32 \(N, H, W, 3\)": half(channels=4),
        "must be 'images', float32": half(element=onnx.TensorProto.DOUBLE),
    }.items():
        with pytest.raises(ValueError, match=f"half.onnx is not an ONNX file.*{sentence}"):
            read(write(model))


def test_every_flipped_bit_is_found(write):
    path = write(half())
    whole = path.read_bytes()
    # Any ONNX reader takes the checksum's entry for one more piece of metadata.
    assert [entry.key for entry in onnx.load(str(path)).metadata_props] == ["deblur_zoo", "deblur_zoo_sha256"]
    for place in range(0, 8 * len(whole), 11):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged or was altered: it does not end with its sha256"):
            onnx_file.information(path)


def test_a_file_without_its_checksum_is_refused(tmp_path):
    onnx.save(half(), str(tmp_path / "half.onnx"))
    with pytest.raises(ValueError, match="does not end with its sha256"):
        onnx_file.open_runner(tmp_path / "half.onnx")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*none.onnx"):
        onnx_file.information(tmp_path / "none.onnx")
    with pytest.raises(ValueError, match="is a folder: name the .onnx file in it"):
        onnx_file.information(tmp_path)


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin"])
def test_weights_in_other_files_are_not_read(write, tmp_path, monkeypatch, location):
    # Wherever onnxruntime may look: beside the file and in the current folder.
    monkeypatch.chdir(tmp_path)
    path = write(half(), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert os.path.exists("weights.bin")
    model = onnx.load(str(path), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(onnx_file.sealed(model.SerializeToString()))
    # onnxruntime itself refuses them when it optimises, but not when it only opens the file.
    for read in (onnx_file.information, onnx_file.open_runner):
        with pytest.raises(ValueError, match="half.onnx is not an ONNX file.*damaged"):
            read(path)


def test_without_onnxruntime_the_extra_is_named(write, monkeypatch):
    path = write(half())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"needs onnxruntime to run: pip install 'deblur-zoo\[onnx\]'"):
        onnx_file.open_runner(path)
