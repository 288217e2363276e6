import contextlib
import gzip
import io
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from deblur_zoo.files.archives import holds, unpack


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
    with pytest.raises(ValueError, match="could leave its folder"):
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
    with pytest.raises(ValueError, match="more than 1,000 files and folders"):
        unpack(many, tmp_path / "all", "many", 1000)


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_damaged_archives(tmp_path, make):
    data = make(tmp_path / "archive", ("a", bytes(range(256)) * 50)).read_bytes()
    for number, damaged in enumerate((b"", b"text", data[:-30], data[: len(data) // 2])):
        (tmp_path / "archive").write_bytes(damaged)
        with pytest.raises(ValueError, match="archive cannot be unpacked"):
            unpack(tmp_path / "archive", tmp_path / f"out{number}", "archive", 1 << 20)


def test_folders_count_too(tmp_path):
    with tarfile.open(tmp_path / "archive", "w:gz") as archive:
        for number in range(1001):
            info = tarfile.TarInfo(str(number))
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
    zip_of(tmp_path / "other", *((f"{number}/", b"") for number in range(1001)))
    for name in ("archive", "other"):
        with pytest.raises(ValueError, match="more than 1,000 files and folders"):
            unpack(tmp_path / name, tmp_path / f"out of {name}", name, 1000)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_headers_that_unpack_to_gigabytes_take_no_memory(tmp_path, kind):
    size = 400 << 20
    with gzip.open(tmp_path / "archive", "wb", compresslevel=1) as archive:
        info = tarfile.TarInfo("long")
        info.type, info.size = kind, size
        archive.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(size >> 20):
            archive.write(b"1" * (1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 1,048,576 bytes of headers"):
            unpack(tmp_path / "archive", tmp_path / "out", "archive", 1 << 30)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_zip_with_a_large_directory_is_refused(tmp_path):
    zip_of(tmp_path / "archive", *((f"{number:0200}", b"") for number in range(5000)))
    with pytest.raises(ValueError, match="more than 1,048,576 bytes of headers"):
        unpack(tmp_path / "archive", tmp_path / "out", "archive", 1 << 30)


def test_other_compressions_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", b"a")
    with pytest.raises(ValueError, match="something else than deflate"):
        unpack(tmp_path / "archive", tmp_path / "out", "archive", 1 << 30)


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_the_same_name_twice_is_refused(tmp_path, make):
    with pytest.warns() if make is zip_of else contextlib.nullcontext():
        archive = make(tmp_path / "archive", ("a", b"one"), ("a", b"two"))
    with pytest.raises(ValueError, match="archive has two entries a"):
        unpack(archive, tmp_path / "out", "archive", 100)


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_folder_is_compared_with_its_archive(tmp_path, make):
    archive, out = make(tmp_path / "archive", ("a", b"one"), ("sub/b", b"two")), tmp_path / "out"
    unpack(archive, out, "archive", 6)
    assert holds(archive, out, "archive", 6)
    for path, content in (("a", b"two"), ("a", b"one more"), ("a", b"on"), ("sub/c", b"")):
        kept = (out / path).read_bytes() if (out / path).exists() else None
        (out / path).write_bytes(content)
        assert not holds(archive, out, "archive", 6)
        (out / path).unlink() if kept is None else (out / path).write_bytes(kept)
    (out / "a").unlink()
    assert not holds(archive, out, "archive", 6)
