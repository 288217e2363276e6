"""Checks of flags that several commands share."""

import types

import pytest

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError, require_folders, whole_numbers


@pytest.fixture
def given(monkeypatch):
    """A function that sets the flags that the checks see."""

    def given(**values):
        found = {name: types.SimpleNamespace(value=value) for name, value in values.items()}
        monkeypatch.setattr(command_line_tools, "flags", types.SimpleNamespace(FLAGS=found))

    return given


def test_folders(given, tmp_path):
    given(faces=str(tmp_path), labels=None)
    require_folders("faces", "labels")
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "none"):
        given(faces=str(wrong))
        with pytest.raises(UsageError, match=f"--faces .*{wrong.name}"):
            require_folders("faces")


@pytest.mark.parametrize("values", [["1.5"], ["13", "-1"], ["13", ""], ["a"], ["²"], ["1_0"]])
def test_what_is_no_whole_number(given, values):
    given(kernels=values)
    with pytest.raises(UsageError, match="--kernels must be whole numbers"):
        whole_numbers("kernels")


def test_whole_numbers(given):
    given(kernels=["0", "13", "027"])
    assert whole_numbers("kernels") == [0, 13, 27]
