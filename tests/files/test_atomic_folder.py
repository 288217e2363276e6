import pytest

from deblur_zoo.files.atomic_folder import atomic_folder


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_appears_whole(tmp_path):
    target = tmp_path / "a" / "b" / "1"
    with atomic_folder(target) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "x").write_text("new")
        assert not target.exists()
    assert content(tmp_path) == {"a/b/1/inner/x": "new"}
    assert target.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in target.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_nothing_not_even_parents_it_made(tmp_path, error):
    (tmp_path / "a").mkdir()
    with pytest.raises(error), atomic_folder(tmp_path / "a" / "b" / "c" / "1") as folder:
        (folder / "x").write_text("half")
        raise error
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["a"]


def test_existing_target_is_refused_before_any_work(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(FileExistsError, match="1 exists"), atomic_folder(tmp_path / "1"):
        pytest.fail("the block must not run")
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_overwrite_replaces_all_of_the_old_or_nothing(tmp_path):
    target = tmp_path / "1"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(ValueError), atomic_folder(target, overwrite=True) as folder:
        (folder / "x").write_text("half")
        raise ValueError
    assert content(tmp_path) == {"1/old": "old"}
    with atomic_folder(target, overwrite=True) as folder:
        (folder / "x").write_text("new")
    assert content(tmp_path) == {"1/x": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_target_that_appears_meanwhile_is_kept(tmp_path):
    with pytest.raises(FileExistsError), atomic_folder(tmp_path / "1") as folder:
        (folder / "x").write_text("mine")
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "x").write_text("theirs")
    assert content(tmp_path) == {"1/x": "theirs"}
