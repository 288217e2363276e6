import os

import pytest

from deblur_zoo.files.folders import find_files, list_files, without_results


def names(folder, paths):
    return [path.relative_to(folder).as_posix() for path in paths]


@pytest.fixture
def tree(tmp_path):
    for name in ("in/a.png", "in/sub/B.PNG", "in/.hidden/c.png", "in/.d.png", "disk/x/1.png", "disk/x/deep/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_links_to_folders_are_followed(tree):
    (tree / "in" / "linked").symlink_to(tree / "disk" / "x")
    paths, skipped = find_files(tree / "in", (".png",))
    assert names(tree / "in", paths) == ["a.png", "linked/1.png", "linked/deep/2.png", "sub/B.PNG"] and not skipped


def test_each_folder_is_read_once(tree):
    (tree / "in" / "loop").symlink_to(tree / "in")
    (tree / "in" / "sub" / "up").symlink_to("..")
    (tree / "in" / "a_twin").symlink_to(tree / "in" / "sub")
    (tree / "in" / "x1").symlink_to(tree / "disk" / "x")
    (tree / "in" / "x2").symlink_to(tree / "disk" / "x")
    # Leads to the folder's parent, in which there is the folder.
    (tree / "disk" / "x" / "out").symlink_to(tree)
    paths, skipped = find_files(tree / "in", (".png",))
    assert names(tree / "in", paths) == ["a.png", "sub/B.PNG", "x1/1.png", "x1/deep/2.png"]
    assert names(tree / "in", [path for path, _ in skipped]) == ["a_twin", "loop", "sub/up", "x2"]
    assert {kind for _, kind in skipped} == {"link to a folder that was read already"}


def test_links_that_double_at_each_step_end_soon(tree):
    """Followed by their names, forty folders with two links each to the next one would be a million millions."""
    for step in range(40):
        (tree / "in" / f"{step}").mkdir()
        for link in ("left", "right"):
            (tree / "in" / f"{step}" / link).symlink_to(tree / "in" / f"{step + 1}")
    paths, skipped = find_files(tree / "in" / "0", (".png",))
    assert paths == [] and 40 <= len(skipped) <= 80


def test_skipped_files_are_counted_and_named(tree, caplog):
    for name in ("b.HEIC", "c.heic", "sub/d.gif", "README"):
        (tree / "in" / name).touch()
    assert names(tree / "in", list_files(tree / "in", (".png",))) == ["a.png", "sub/B.PNG"]
    (message,) = caplog.messages
    for words in ("2 .heic", "1 .gif", "1 without an ending", "b.HEIC", "c.heic", "README", "accepted: .png"):
        assert words in message
    caplog.clear()
    list_files(tree / "disk", (".png",))
    assert not caplog.messages


def test_a_folder_that_cannot_be_read_is_named(tree, monkeypatch):
    scandir = os.scandir

    def forbidden(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    assert find_files(tree / "in", (".png",)) == (
        [tree / "in" / "a.png"],
        [(tree / "in" / "sub", "folder that cannot be read")],
    )


def test_broken_links_pipes_and_names_that_are_no_text_are_found(tree):
    (tree / "in" / "loop.png").symlink_to("loop.png")
    os.mkfifo(tree / "in" / "pipe.png")
    with open(os.fsencode(tree / "in") + b"/\xff.png", "wb"):
        pass
    paths, _ = find_files(tree / "in", (".png",))
    assert [os.fsencode(path.name) for path in paths] == [b"a.png", b"loop.png", b"pipe.png", b"B.PNG", b"\xff.png"]


def test_results_are_not_read_again(tree):
    paths, _ = find_files(tree, (".png",))
    assert names(tree, without_results(paths, tree, tree / "disk")) == ["in/a.png", "in/sub/B.PNG"]
    (tree / "link").symlink_to(tree / "disk")
    assert without_results(paths, tree, tree / "link") == without_results(paths, tree, tree / "disk")
    inside, _ = find_files(tree / "disk", (".png",))
    for target in (tree, tree / "disk", tree / "elsewhere"):
        assert without_results(inside, tree / "disk", target) == inside


def test_folders_that_are_none(tree):
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_files(tree / "absent", (".png",))
    with pytest.raises(NotADirectoryError, match="is a file"):
        find_files(tree / "in" / "a.png", (".png",))
