import pytest

from deblur_zoo.files.resumable_folder import REPORT, SETTINGS, ResumableFolder

COLUMNS = ("name", "status")


def folder(path, columns=COLUMNS, **settings):
    return ResumableFolder(path, "crops", {"size": 32, "sides": (1, 2)} | settings, columns)


def test_a_run_is_resumed_without_its_truncated_last_row(tmp_path):
    first = folder(tmp_path / "deep" / "out")
    first.open()
    assert first.read_report() == []
    first.write_report([("a", "used")])
    # A name with a tab, a line break, and a byte that is not UTF-8.
    first.append([("b\t\n\udcff", "not used"), ("c", "used")])
    first.report.write_bytes(first.report.read_bytes()[:-3])
    (first.path / "x").mkdir()
    (first.path / "x" / ".partial-12-c.png").write_bytes(b"half")
    second = folder(tmp_path / "deep" / "out")
    second.open()
    assert second.read_report() == [["a", "used"], ["b\t\n\udcff", "not used"]]
    assert {path.name for path in first.path.rglob("*")} == {"x", REPORT, SETTINGS}


def test_other_settings_are_named(tmp_path):
    folder(tmp_path).open()
    with pytest.raises(ValueError, match=r"crops .*other settings \(margin, size;"):
        folder(tmp_path, size=64, margin=1).open()
    for damaged in ("{", "5"):
        (tmp_path / SETTINGS).write_text(damaged)
        with pytest.raises(ValueError, match="damaged"):
            folder(tmp_path).open()


def test_files_of_other_origin_are_refused_and_kept(tmp_path):
    other = tmp_path / "holidays" / "a.txt"
    other.parent.mkdir()
    folder(tmp_path / "holidays").open()
    other.write_text("mine")
    with pytest.raises(ValueError, match="did not write"):
        folder(tmp_path).open()
    with pytest.raises(NotADirectoryError, match="a.txt is a file"):
        folder(other).open()
    assert other.read_text() == "mine" and not (tmp_path / SETTINGS).exists()


def test_a_report_with_other_columns_is_refused(tmp_path):
    written = folder(tmp_path)
    written.write_report([("a", "used")])
    with pytest.raises(ValueError, match="not a report"):
        folder(tmp_path, columns=("video",)).read_report()
