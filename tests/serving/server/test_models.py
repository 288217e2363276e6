"""Which models a folder holds, and what becomes of damaged ones."""

import shutil

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")

from deblur_zoo.serving import protocol  # noqa: E402
from deblur_zoo.serving.server import embedded, models  # noqa: E402
from deblur_zoo.serving.server.settings import Settings  # noqa: E402


@pytest.fixture
def folder(tmp_path, models_folder):
    """A copy of ``models_folder`` that may be changed."""
    return shutil.copytree(models_folder, tmp_path / "models")


def test_the_highest_version_that_can_be_loaded(folder, ask, grpc_call, predict_request, monkeypatch):
    """Above it: one cut short, one without its variables, and numbers that are no version."""
    monkeypatch.setattr(models, "_crashing", lambda folders: set())
    for number in (3, 20):
        shutil.copytree(folder / "tiny" / "1", folder / "tiny" / str(number))
    whole = (folder / "tiny" / "20" / "saved_model.pb").read_bytes()
    (folder / "tiny" / "20" / "saved_model.pb").write_bytes(whole[: len(whole) // 2])
    shutil.rmtree(folder / "tiny" / "3" / "variables")
    for name in ("9" * 20, "1.5", "next"):
        shutil.copytree(folder / "tiny" / "1", folder / "tiny" / name)
    # A second model that is nothing but damaged.
    shutil.copytree(folder / "tiny" / "20", folder / "damaged" / "7")
    with embedded.running(Settings(str(folder))) as server:
        _, answer = ask(f"{server.rest}/v1/models/tiny")
        states = {int(one["version"]): one["state"] for one in answer["model_version_status"]}
        assert states == {1: "AVAILABLE", 3: "END", 20: "END"}
        assert all(one["status"]["error_message"] for one in answer["model_version_status"][1:])
        images = np.zeros((1, 2, 2, 3), np.float32)
        response = grpc_call(server.grpc, "Predict", predict_request(images=images))
        assert response.model_spec.version.value == 1
        assert ask(f"{server.rest}/v1/models/damaged:predict", {"instances": [1]})[0] == 404
        assert ask(f"{server.rest}/readyz")[0] == 503 and ask(f"{server.rest}/healthz")[0] == 200
        health = protocol.HealthCheckRequest()
        assert protocol.SERVING_STATUS["NOT_SERVING"] == grpc_call(server.grpc, "Check", health).status


def test_versions_that_end_the_process(tmp_path, monkeypatch):
    """A TensorFlow that aborts over some files: each is found by a process of its own."""
    package = tmp_path / "tensorflow" / "core" / "protobuf"
    package.mkdir(parents=True)
    for path in (package.parents[1], package.parent, package):
        (path / "__init__.py").touch()
    (package / "saved_model_pb2.py").write_text(
        "import os\n"
        "class SavedModel:\n"
        "    def FromString(content):\n"
        "        os.abort() if content == b'abort' else int('not whole')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folders = [tmp_path / name for name in "abcde"]
    for place, folder in enumerate(folders):
        folder.mkdir()
        (folder / "saved_model.pb").write_bytes(b"abort" if place in (1, 2, 4) else b"raise")
    assert models._crashing(folders) == {folders[1], folders[2], folders[4]}


def test_a_version_that_ends_the_process_leaves_the_older_one(folder, monkeypatch):
    shutil.copytree(folder / "tiny" / "1", folder / "tiny" / "2")
    monkeypatch.setattr(models, "_crashing", lambda folders: {one for one in folders if one.name == "2"})
    loaded = models.Models(models.find(folder))
    assert loaded.find("tiny").version == 1
    first, second = loaded.status("tiny").model_version_status
    assert (first.version, first.state, second.version, second.state) == (1, 30, 2, 50)
    assert "ends the process that loads it" in second.status.error_message


def test_damaged_warm_up_records_are_an_error(folder, monkeypatch):
    monkeypatch.setattr(models, "_crashing", lambda folders: set())
    records = folder / "tiny" / "1" / "assets.extra" / "tf_serving_warmup_requests"
    content = bytearray(records.read_bytes())
    content[-5] ^= 1
    records.write_bytes(content)
    with pytest.raises(ValueError, match="no model could be loaded: version 1 of tiny: DATA_LOSS"):
        models.Models(models.find(folder))


def test_folders_without_models(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        models.find(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no model: NAME/VERSION/saved_model.pb is looked for.$"):
        models.find(tmp_path / "empty")
    with pytest.raises(ValueError, match="It looks like a model itself: give the folder above it"):
        models.find(folder / "tiny")
