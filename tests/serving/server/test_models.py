"""Which models a folder holds, and what becomes of damaged ones."""

import shutil

import pytest

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")

from deblur_zoo.serving.server import models  # noqa: E402


@pytest.fixture
def folder(tmp_path, models_folder):
    """A copy of ``models_folder`` that may be changed."""
    return shutil.copytree(models_folder, tmp_path / "models")


def test_the_highest_version_that_can_be_loaded(folder, monkeypatch, caplog):
    """Above it: one cut short, one without its variables, one that ends the process, and names that are no version."""
    for number in (3, 20, 30):
        shutil.copytree(folder / "tiny" / "1", folder / "tiny" / str(number))
    whole = (folder / "tiny" / "20" / "saved_model.pb").read_bytes()
    (folder / "tiny" / "20" / "saved_model.pb").write_bytes(whole[: len(whole) // 2])
    shutil.rmtree(folder / "tiny" / "3" / "variables")
    for name in ("9" * 20, "1.5", "next"):
        shutil.copytree(folder / "tiny" / "1", folder / "tiny" / name)
    # A second model that is nothing but damaged.
    shutil.copytree(folder / "tiny" / "20", folder / "damaged" / "7")
    monkeypatch.setattr(models, "_crashing", lambda folders: {one for one in folders if one.name == "30"})
    loaded = models.Models(models.find(folder))
    assert loaded.find("tiny").version == 1
    (status,) = loaded.status("tiny").model_version_status
    assert (status.version, status.state) == (1, 30)
    with pytest.raises(models.RequestError, match=r"Latest\(damaged\)"):
        loaded.find("damaged")
    lines = [record.getMessage() for record in caplog.records]
    versions = sorted(line.partition(":")[0] for line in lines)
    assert versions == ["version 20 of tiny", "version 3 of tiny", "version 30 of tiny", "version 7 of damaged"]
    assert "ends the process that loads it" in "".join(lines)


def test_versions_that_end_the_process(tmp_path, monkeypatch):
    """Each is found by the process that it ends: the next one goes on behind it."""
    folders = [tmp_path / name for name in "abcde"]

    def load(folders):
        return next((place for place, folder in enumerate(folders) if folder.name in "bce"), len(folders))

    monkeypatch.setattr(models, "_load_in_another_process", load)
    assert models._crashing(folders) == {folders[1], folders[2], folders[4]}


def test_folders_without_models(tmp_path, folder, monkeypatch):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        models.find(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "empty", folder / "tiny"):
        with pytest.raises(ValueError, match="has no model .NAME/VERSION/saved_model.pb."):
            models.find(wrong)
    monkeypatch.setattr(models, "_crashing", set)
    with pytest.raises(ValueError, match="no model could be loaded: version 1 of tiny: DATA_LOSS: .* ends the process"):
        models.Models(models.find(folder))
