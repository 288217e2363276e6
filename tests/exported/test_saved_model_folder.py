import io
import json
import shutil
import tarfile

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("SavedModels are written by the TensorFlow backend", allow_module_level=True)

import tensorflow as tf

from deblur_zoo.exported import saved_model_folder
from exporters import saved_model, tf_hub

INFORMATION = {"format_version": 1, "preset": "tiny", "kind": "deblurrer", "labels": None, "paper": {"title": "Köpfe"}}


@pytest.fixture(scope="module")
def written(tiny_model, tmp_path_factory):
    """A SavedModel's folder."""
    folder = tmp_path_factory.mktemp("written") / "tiny"
    saved_model.write(tiny_model, folder)
    saved_model.write_information(INFORMATION, folder)
    return folder


def place(written, root, form):
    """The SavedModel in one of the places where it is found; returns the path to give."""
    if form == "folder":
        return written
    if form == "versions":
        # 10 is higher than 9, as a number; what is in 9 and x would fail.
        for name in ("9", "x"):
            (root / "tiny" / name).mkdir(parents=True)
            (root / "tiny" / name / "saved_model.pb").write_text("damaged")
        shutil.copytree(written, root / "tiny" / "10")
        return root / "tiny"
    if form == "tf_hub":
        shutil.copytree(written, root / "model")
        return root
    tf_hub.write_archive(written, root / "tiny.tar.gz")
    return root / "tiny.tar.gz"


@pytest.mark.parametrize("form", ["folder", "versions", "tf_hub", "archive"])
def test_runs_and_tells_what_it_is(written, tiny_model, tmp_path, form):
    path = place(written, tmp_path, form)
    assert saved_model_folder.information(path).items() >= INFORMATION.items()
    run = saved_model_folder.open_runner(str(path))
    images = np.random.default_rng(0).random((2, 9, 14, 3), dtype=np.float32)
    restored = run(images)
    expected = tiny_model(images, training=False).numpy()
    assert restored.dtype == np.float32 and np.abs(expected - images).max() > 0.05
    # The same operations, which the graph may order differently.
    np.testing.assert_allclose(restored, expected, atol=1e-5)


def damage(folder, kind):
    graph, data = folder / "saved_model.pb", folder / "variables" / "variables.data-00000-of-00001"
    if kind == "cut graph":
        graph.write_bytes(graph.read_bytes()[:1000])
    elif kind == "no graph":
        graph.unlink()
    elif kind == "empty graph":
        graph.write_bytes(b"")
    elif kind == "cut weights":
        data.write_bytes(data.read_bytes()[:100])
    elif kind == "one bit of a weight":
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 1
        data.write_bytes(content)
    else:
        shutil.rmtree(folder / "variables")


@pytest.mark.parametrize(
    "kind", ["cut graph", "no graph", "empty graph", "cut weights", "one bit of a weight", "no weights"]
)
@pytest.mark.parametrize("recorded", [True, False])
def test_damaged_folders_give_one_sentence(written, tmp_path, kind, recorded):
    folder = tmp_path / "tiny"
    shutil.copytree(written, folder)
    if not recorded:
        # Nothing to compare the files with.
        (folder / saved_model_folder.INFORMATION_FILE).write_text(json.dumps(INFORMATION))
    damage(folder, kind)
    sentence = "the sha256 of|is not a SavedModel" if recorded else "is damaged|is refused, since|is not a SavedModel"
    with pytest.raises(ValueError, match=f"tiny .*({sentence})") as raised:
        saved_model_folder.open_runner(folder)
    assert len(str(raised.value).splitlines()) == 1


def test_other_signatures_are_refused(tmp_path):
    module = tf.Module()
    module.double = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec((None,), tf.float32, name="x")])
    tf.saved_model.save(module, str(tmp_path / "other"), signatures={"twice": module.double})
    with pytest.raises(ValueError, match="has no signature 'serving_default'; it has twice"):
        saved_model_folder.open_runner(tmp_path / "other")
    tf.saved_model.save(module, str(tmp_path / "double"), signatures=module.double)
    with pytest.raises(ValueError, match=r"takes .*float32.* and gives y; float32 \(N, H, W, 3\)"):
        saved_model_folder.open_runner(tmp_path / "double")


@pytest.mark.parametrize(
    "content, sentence",
    [
        (None, "is not a SavedModel that deblur-zoo wrote"),
        ("{", "deblur_zoo.json is damaged"),
        ("[]", "deblur_zoo.json is damaged"),
        ("{}", "deblur_zoo.json is damaged"),
        ('{"format_version": 2}', "format_version 2, and this deblur_zoo reads up to 1"),
        (json.dumps({"format_version": 1, "x": "x" * 1_000_001}), "larger than 1 MB"),
    ],
)
def test_missing_and_damaged_information(tmp_path, content, sentence):
    (tmp_path / "saved_model.pb").touch()
    if content is not None:
        (tmp_path / "assets.extra").mkdir()
        (tmp_path / "assets.extra" / "deblur_zoo.json").write_text(content)
    with pytest.raises(ValueError, match=sentence) as raised:
        saved_model_folder.information(tmp_path)
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("function", [saved_model_folder.information, saved_model_folder.open_runner])
def test_what_is_no_saved_model(tmp_path, function):
    with pytest.raises(FileNotFoundError, match="no file or directory"):
        function(tmp_path / "nothing")
    with pytest.raises(ValueError, match="neither it nor a version in it has a saved_model.pb"):
        function(tmp_path)
    (tmp_path / "face.png").touch()
    with pytest.raises(ValueError, match="a folder or a .tar.gz of one is needed"):
        function(tmp_path / "face.png")


def test_unsafe_archives_are_refused(written, tmp_path):
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as archive:
        archive.add(written, ".")
        archive.addfile(tarfile.TarInfo("../evil"), io.BytesIO())
    with pytest.raises(ValueError, match="could leave its folder"):
        saved_model_folder.open_runner(tmp_path / "evil.tar.gz")
    (tmp_path / "cut.tar.gz").write_bytes((tmp_path / "evil.tar.gz").read_bytes()[:500])
    with pytest.raises(ValueError, match="cannot be unpacked"):
        saved_model_folder.information(tmp_path / "cut.tar.gz")
