"""How the web app is put together, without npm or a browser."""

import json
from pathlib import Path

import numpy as np
import pytest

from deblur_zoo.faces.alignment import canonical_points
from deblur_zoo.files.command_line_tools import UsageError
from examples.web import build

LOCK = Path(build.__file__).with_name("package-lock.json")


@pytest.fixture
def litert(tmp_path, monkeypatch):
    """Stands in for what `npm ci` installs."""
    core = tmp_path / "litert" / "core"
    core.mkdir(parents=True)
    (core / "package.json").write_text('{"version": "1.2.3"}')
    monkeypatch.setattr(build, "LITERT", core.parent)


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "LITERT", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="LiteRT.js is missing: run `npm ci` in"):
        build.build("one_step_lite", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_files_is_not_replaced(litert, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        build.build("one_step_lite", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_the_example_begins_at_the_edges_of_pixels():
    np.testing.assert_allclose(build._placement(canonical_points()), [1, 0, 0, 0], atol=1e-12)
    # Twice as large: the first pixel of the crop covers the first two of the photo.
    np.testing.assert_allclose(build._placement(2 * canonical_points() + 0.5), [0.5, 0, 0, 0], atol=1e-12)


def test_the_worker_lists_all_files_and_every_change_gives_another_version(tmp_path):
    variant = f"litert-1/{build.VARIANTS[0]}.wasm"
    (tmp_path / "litert-1").mkdir()
    versions = set()
    for content in ("a", "b"):
        for name in ("app.js", "index.html", variant):
            (tmp_path / name).write_text(content)
        source = Path(build.__file__).parent / "app" / build.WORKER
        (tmp_path / build.WORKER).write_text(source.read_text())
        build._fill_worker(tmp_path)
        lines = (tmp_path / build.WORKER).read_text().splitlines()
        versions.add(next(line for line in lines if line.startswith("const VERSION = ")))
        (files,) = [line for line in lines if line.startswith("const [AT_ONCE, ON_USE] = ")]
        assert json.loads(files.split(" = ")[1].rstrip(";")) == [["./", "app.js"], [variant]]
    assert len(versions) == 2


def test_the_lock_file_fixes_every_package_and_names_no_host():
    packages = {name: entry for name, entry in json.loads(LOCK.read_text())["packages"].items() if name}
    assert packages and all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert not any("resolved" in entry for entry in packages.values())
