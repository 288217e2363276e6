"""Unpack untrusted archives."""

import contextlib
import gzip
import itertools
import os
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

ARCHIVE_ENDINGS = (".tar.gz", ".tgz", ".zip")
_MAXIMUM_ENTRIES = 1000
# Headers of a tar, and a zip's directory: what readers take into memory whole.
_MAXIMUM_HEADERS = 1 << 20


class _Refused(ValueError):
    """An archive is rejected; the text says why."""


def unpack(archive, folder, name, maximum_bytes):
    """Write the plain files of a ``.tar.gz`` or ``.zip`` archive below a new folder.

    Args:
        archive: path of the archive.
        folder: where to; it must not exist.
        name: what to call the archive in error messages.
        maximum_bytes: limit for all files together.

    Raises:
        ValueError: not such an archive, damaged, too large, with more than 1,000 files and folders or more than 1 MiB
            of headers, or with a link, a device or a path that leads out of the folder.
    """
    folder = Path(folder)
    folder.mkdir()
    for path, content in _read(archive, name, maximum_bytes):
        target = folder.joinpath(*path.parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = open(target, "xb")
        except FileExistsError:
            raise ValueError(f"{name} has two entries {path}.") from None
        with file:
            for block in content:
                file.write(block)


def holds(archive, folder, name, maximum_bytes):
    """Whether a folder holds an archive's files, byte for byte, and no others; arguments and errors of ``unpack``."""
    folder, expected = Path(folder), set()
    for path, content in _read(archive, name, maximum_bytes):
        target = folder.joinpath(*path.parts)
        expected.add(target)
        if not target.is_file() or target.is_symlink():
            return False
        with open(target, "rb") as file:
            if not all(file.read(len(block)) == block for block in content) or file.read(1):
                return False
    return {path for path in folder.rglob("*") if not path.is_dir()} == expected


def _read(archive, name, maximum_bytes):
    """(path, iterator of blocks) of every plain file; the blocks must be taken before the next file."""
    remaining = maximum_bytes

    def blocks(opened):
        nonlocal remaining
        while True:
            with _reading(name):
                block = opened.read(1 << 20)
            if not block:
                return
            remaining -= len(block)
            if remaining < 0:
                raise _Refused(f"{name} unpacks to more than the {maximum_bytes:,} bytes that are accepted.")
            yield block

    with _reading(name):
        with open(archive, "rb") as file:
            members = _zip_members if file.read(2) == b"PK" else _tar_members
        for member, opened in members(archive, name):
            path = PurePosixPath(member)
            # Backslashes and colons lead elsewhere on Windows.
            if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in member or ":" in member:
                raise _Refused(f"{name} has the path {member!r}, which could leave its folder.")
            with opened:
                yield path, blocks(opened)


@contextlib.contextmanager
def _reading(name):
    """A context in which whatever a reader raises becomes ValueError; there are some twenty kinds."""
    try:
        yield
    except _Refused:
        raise
    except Exception as error:
        raise ValueError(f"{name} cannot be unpacked: {error}.") from error


class _Headers:
    """A file whose reader may take ``_MAXIMUM_HEADERS`` bytes, and more only after ``allow``."""

    def __init__(self, file, name):
        self._file, self._name, self._allowed = file, name, _MAXIMUM_HEADERS

    def allow(self, count):
        self._allowed += count

    def read(self, count):
        content = self._file.read(count)
        self._allowed -= len(content)
        if self._allowed < 0:
            raise _Refused(f"{self._name} has more than {_MAXIMUM_HEADERS:,} bytes of headers.")
        return content


def _tar_members(archive, name):
    # As a stream: a header is read only after the content before it, and cannot be larger than what is allowed.
    with gzip.open(archive) as plain:
        headers = _Headers(plain, name)
        with tarfile.open(fileobj=headers, mode="r|") as opened:
            for count in itertools.count():
                member = opened.next()
                # tarfile keeps all of them.
                opened.members.clear()
                if member is None:
                    return
                _count(count, name)
                if member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    raise _Refused(f"{name} holds {member.name!r}, which is neither a file nor a folder.")
                # Its content fills whole blocks.
                headers.allow(member.size + tarfile.BLOCKSIZE)
                yield member.name, opened.extractfile(member)


def _zip_members(archive, name):
    _check_directory(archive, name)
    with zipfile.ZipFile(archive) as opened:
        for count, member in enumerate(opened.infolist()):
            _count(count, name)
            if member.is_dir():
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _Refused(f"{name} holds {member.filename!r}, which is neither a file nor a folder.")
            # Other methods may allocate gigabytes before they produce a byte.
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _Refused(f"{name} holds {member.filename!r}, which is compressed by something else than deflate.")
            yield member.filename, opened.open(member)


def _check_directory(archive, name):
    """Refuse a zip whose directory, which ``zipfile`` reads whole, is larger than ``_MAXIMUM_HEADERS``."""
    with open(archive, "rb") as file:
        file.seek(max(0, os.path.getsize(archive) - (1 << 16) - 100))
        tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    size = int.from_bytes(tail[place + 12 : place + 16], "little")
    # The locator of a 64-bit directory, which takes precedence.
    if place >= 0 and (size > _MAXIMUM_HEADERS or b"PK\x06\x07" in tail[max(0, place - 20) : place]):
        raise _Refused(f"{name} has more than {_MAXIMUM_HEADERS:,} bytes of headers.")


def _count(count, name):
    if count >= _MAXIMUM_ENTRIES:
        raise _Refused(f"{name} holds more than {_MAXIMUM_ENTRIES:,} files and folders.")
