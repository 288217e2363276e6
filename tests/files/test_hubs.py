"""Presets on model hubs: a stand-in server for Hugging Face, the package's own cache for Kaggle."""

import hashlib
import json
import sys

import pytest

from deblur_zoo import zoo
from deblur_zoo.files import downloads, hubs
from tests.files import hub_server

NAME = "owner/tiny"


@pytest.fixture
def hugging_face(monkeypatch, tmp_path):
    """The repositories of a stand-in server that huggingface_hub asks; it reads its settings when it is imported."""
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (extra hub-hf)")
    with hub_server.running() as (address, repositories):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hugging_face"))
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.setenv("HF_TOKEN", "hf_of_this_test")
        for name in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
            monkeypatch.delitem(sys.modules, name)
        yield repositories
        for name in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
            del sys.modules[name]


@pytest.fixture
def files(tiny_preset):
    return {path.name: path.read_bytes() for path in tiny_preset.iterdir()}


def test_a_preset_goes_up_and_comes_down_the_same(hugging_face, tiny_preset, tiny_model):
    (tiny_preset / "notes.txt").write_text("stays here")
    (tiny_preset / "README.md").write_text("# tiny\n")
    uploaded = zoo.upload_preset(tiny_preset, f"hf://{NAME}", message="First")
    assert set(hugging_face[NAME]) == {"config.json", "model.weights.h5", "README.md"}
    assert uploaded == f"hf://{NAME}@{hub_server.commit_of(hugging_face[NAME])}"
    for uri in (f"hf://{NAME}", uploaded):
        loaded = zoo.load(uri)
        assert loaded.name == "tiny"
        assert all((a == b).all() for a, b in zip(loaded.get_weights(), tiny_model.get_weights(), strict=True))


def test_weights_that_are_not_those_of_the_config_are_refused(hugging_face, files):
    hugging_face[NAME] = {**files, "model.weights.h5": files["model.weights.h5"][:-1] + b"x"}
    with pytest.raises(ValueError, match="sha256 is not the one in config.json.*remove"):
        zoo.load(f"hf://{NAME}")


def test_a_uri_may_state_the_weights_sha256(hugging_face, files):
    hugging_face[NAME] = files
    sha256 = hashlib.sha256(files["model.weights.h5"]).hexdigest()
    assert zoo.load(f"hf://{NAME}#sha256={sha256}").name == "tiny"
    with pytest.raises(ValueError, match="holds other weights"):
        zoo.load(f"hf://{NAME}#sha256={'0' * 64}")


def test_what_was_fetched_is_kept_for_times_without_network(monkeypatch, tmp_path, hugging_face, files):
    hugging_face[NAME] = files
    folder = zoo.preset_folder(f"hf://{NAME}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
        monkeypatch.delitem(sys.modules, name)
    assert zoo.preset_folder(f"hf://{NAME}") == folder


def test_what_is_not_there_or_too_large(hugging_face, files):
    hugging_face["owner/empty"] = {"README.md": b"# nothing"}
    hugging_face[NAME] = files
    for uri in ("hf://owner/none", f"hf://{NAME}@other", "hf://owner/empty"):
        with pytest.raises(FileNotFoundError, match=f"{uri} does not exist"):
            zoo.load(uri)
    with pytest.raises(ValueError, match="larger than the 1,000 bytes"):
        downloads.fetch(f"hf://{NAME}", maximum_bytes=1000)


def test_a_preset_in_kaggles_cache(monkeypatch, tmp_path, files):
    pytest.importorskip("kagglehub", reason="kagglehub is not installed (extra hub-kaggle)")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    folder = tmp_path / "kaggle" / "models" / "owner" / "tiny" / "keras" / "small" / "1"
    folder.mkdir(parents=True)
    folder.with_name("1.complete").touch()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert zoo.load("kaggle://owner/tiny/keras/small/1").name == "tiny"
    (folder / "model.weights.h5").write_bytes(files["model.weights.h5"] + b"x")
    with pytest.raises(ValueError, match="sha256 is not the one in config.json"):
        zoo.load("kaggle://owner/tiny/keras/small/1")


def test_an_upload_to_kaggle_leaves_other_files_out(monkeypatch, tiny_preset):
    kagglehub = pytest.importorskip("kagglehub", reason="kagglehub is not installed (extra hub-kaggle)")
    (tiny_preset / "notes.txt").write_text("stays here")
    calls = []
    monkeypatch.setattr(kagglehub, "model_upload", lambda *arguments, **options: calls.append((arguments, options)))
    uri = "kaggle://owner/tiny/keras/small"
    assert zoo.upload_preset(tiny_preset, uri, message="First") == uri
    options = {"version_notes": "First", "ignore_patterns": ["notes.txt"]}
    assert calls == [(("owner/tiny/keras/small", str(tiny_preset)), options)]


@pytest.mark.parametrize("uri", ["hf://owner", "hf://owner/name/more", "kaggle://owner/model", "hf://own er/name"])
def test_other_forms_are_refused(uri):
    with pytest.raises(ValueError, match=f"{uri} is not of the form {uri.split(':')[0]}://owner/"):
        zoo.load(uri)


def test_the_missing_package_is_named(monkeypatch):
    for package, uri in (("huggingface_hub", "hf://a/b"), ("kagglehub", "kaggle://a/b/keras/c")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ImportError, match=f"{package}: pip install 'deblur-zoo\\[hub-"):
            zoo.load(uri)


def test_only_trained_presets_are_uploaded(tmp_path, tiny_preset):
    with pytest.raises(ValueError, match="revision, which the hub assigns"):
        hubs.upload(tiny_preset, "model.weights.h5", "hf://a/b@main", message="", private=False)
    with pytest.raises(ValueError, match="hf://.* or kaggle://"):
        zoo.upload_preset(tiny_preset, "https://a/b")
    with pytest.raises(ValueError, match="not a preset with trained weights"):
        zoo.upload_preset("one_step_paper", "hf://a/b")
    config = json.loads((tiny_preset / "config.json").read_text())
    config["weights"]["sha256"] = "0" * 64
    (tiny_preset / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="damaged or was altered"):
        zoo.upload_preset(tiny_preset, "hf://a/b")
