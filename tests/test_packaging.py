"""The wheel: everything is in it, and it works unpacked in another folder."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("deblur_zoo", "trainers", "exporters", "hub_models", "pyproject.toml", "setup.py", "LICENSE", "README.md")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since setuptools writes beside the sources; without isolation, which would need a network."""
    pytest.importorskip(
        "setuptools", minversion="77", reason="building the wheel needs setuptools 77 in the environment"
    )
    copy = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, copy / name)
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-c",
        "from setuptools.build_meta import build_wheel; import sys; build_wheel(sys.argv[1])",
    ]
    result = subprocess.run([*command, str(out)], cwd=copy, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_every_preset_file_and_the_licence_are_inside(installed):
    """But for the phones' files: package indexes limit the size of a wheel."""
    for path in (ROOT / "hub_models").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            inside = installed / path.relative_to(ROOT)
            if "mobile" in path.parts:
                assert not inside.exists()
            else:
                assert inside.read_bytes() == path.read_bytes()
    (licence,) = installed.glob("*.dist-info/licenses/LICENSE")
    assert "Apache License" in licence.read_text()


def test_the_wheel_is_below_100_mb(wheel):
    assert wheel.stat().st_size < 100_000_000


def test_every_module_is_inside_and_nothing_else(installed):
    packages = ("deblur_zoo", "trainers", "exporters", "hub_models")
    ours = {path.relative_to(ROOT) for name in packages for path in (ROOT / name).rglob("*.py")}
    assert {path.relative_to(installed) for path in installed.rglob("*.py")} == ours
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == set(packages)


def test_the_stubs_and_the_mark_for_type_checkers_are_inside(installed):
    stubs = {path.relative_to(ROOT) for name in ("deblur_zoo", "trainers") for path in (ROOT / name).rglob("*.pyi")}
    assert len(stubs) > 10 and {path.relative_to(installed) for path in installed.rglob("*.pyi")} == stubs
    assert (installed / "deblur_zoo" / "py.typed").is_file()


def test_metadata(installed):
    (metadata,) = installed.glob("*.dist-info/METADATA")
    text = metadata.read_text()
    assert "Requires-Python: <3.14,>=3.11" in text and "License-Expression: Apache-2.0" in text
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "deblur-zoo = deblur_zoo.restoration.__main__:main" in entry_points.read_text()


def test_it_works_from_another_folder(installed, tmp_path):
    code = (
        "import json, deblur_zoo, hub_models; from deblur_zoo.zoo import list_models, preset_folder; "
        "folders = [str(preset_folder(name)) for name in list_models()]; "
        "print(json.dumps([deblur_zoo.__file__, hub_models.__file__, deblur_zoo.list_models(), folders]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    # -P leaves the current folder out of the path, as for an installed command.
    result = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=True
    )
    library, hub, names, folders = json.loads(result.stdout)
    assert Path(library).is_relative_to(installed) and Path(hub).is_relative_to(installed)
    assert names == sorted(json.loads((ROOT / "hub_models" / "index.json").read_text())["presets"])
    for folder in folders:
        assert Path(folder).is_relative_to(installed) and (Path(folder) / "config.json").is_file()
