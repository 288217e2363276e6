import errno

import pytest

from deblur_zoo.files.atomic_file import atomic_path


def test_the_target_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "a.weights.h5"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path and temporary.name.endswith(".weights.h5")
        temporary.write_text("new")
        assert not target.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.weights.h5"] and target.read_text() == "new"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"] and target.read_text() == "old"


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError) as raised, atomic_path(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert raised.value.filename == str(tmp_path / "a.txt")


def test_another_files_name_stays(tmp_path):
    with pytest.raises(FileNotFoundError) as raised, atomic_path(tmp_path / "a.txt"):
        open(tmp_path / "other")
    assert raised.value.filename == str(tmp_path / "other")


def test_names_as_long_as_the_file_system_takes(tmp_path):
    with atomic_path(tmp_path / ("a" * 251 + ".txt")) as temporary:
        temporary.touch()
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*absent"), atomic_path(tmp_path / "absent" / "a"):
        pass
