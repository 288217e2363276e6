import io
import stat
import tarfile
import zipfile

import pytest

from deblur_zoo.files.archives import unpack


def tar_of(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            info = tarfile.TarInfo(member[0])
            data = member[1]
            if isinstance(data, bytes):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = data
                archive.addfile(info)
    return path


def zip_of(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_files_and_folders_come_out(tmp_path, make):
    archive = make(tmp_path / "archive", ("a.txt", b"one"), ("./sub/b.txt", b"two"))
    unpack(archive, tmp_path / "out", "archive", 6)
    files = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in (tmp_path / "out").rglob("*.txt")
    }
    assert files == {"a.txt": b"one", "sub/b.txt": b"two"}


@pytest.mark.parametrize("make", [tar_of, zip_of])
@pytest.mark.parametrize("name", ["../evil", "/evil", "sub/../../evil", "..\\evil", "C:evil"])
def test_paths_that_lead_out_are_refused(tmp_path, make, name):
    archive = make(tmp_path / "archive", (name, b"evil"))
    with pytest.raises(ValueError, match="could lead out"):
        unpack(archive, tmp_path / "out", "archive", 1000)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive", "out"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    archive = tar_of(tmp_path / "archive", ("link", (kind, "/etc/passwd")))
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        unpack(archive, tmp_path / "out", "archive", 1000)


def test_links_in_zip_archives_are_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zip_of(tmp_path / "archive", (info, b"/etc/passwd"))
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        unpack(archive, tmp_path / "out", "archive", 1000)


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_limits(tmp_path, make):
    archive = make(tmp_path / "archive", ("a", bytes(600)), ("b", bytes(500)))
    with pytest.raises(ValueError, match="more than the 1,099 bytes"):
        unpack(archive, tmp_path / "out", "archive", 1099)
    unpack(archive, tmp_path / "enough", "archive", 1100)
    many = make(tmp_path / "many", *((str(i), b"") for i in range(1001)))
    with pytest.raises(ValueError, match="more than 1,000 files"):
        unpack(many, tmp_path / "all", "many", 1000)


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_damaged_archives(tmp_path, make):
    data = make(tmp_path / "archive", ("a", bytes(range(256)) * 50)).read_bytes()
    for number, damaged in enumerate((b"", b"text", data[:-30], data[: len(data) // 2])):
        (tmp_path / "archive").write_bytes(damaged)
        with pytest.raises(ValueError, match="archive cannot be unpacked"):
            unpack(tmp_path / "archive", tmp_path / f"out{number}", "archive", 1 << 20)
