"""Archives from elsewhere, unpacked without trusting them."""

import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

ARCHIVE_ENDINGS = (".tar.gz", ".tgz", ".zip")
_MAXIMUM_FILES = 1000


def unpack(archive, folder, name, maximum_bytes):
    """Write the plain files of a ``.tar.gz`` or ``.zip`` archive below a new folder.

    Args:
        archive: path of the archive.
        folder: where to; it must not exist.
        name: what to call the archive in error messages.
        maximum_bytes: the most that all files may have together.

    Raises:
        ValueError: not such an archive, damaged, too large, with more than 1,000 files, or with a link, a device or a
            path that leads out of the folder.
    """
    folder = Path(folder)
    folder.mkdir()
    remaining = maximum_bytes
    try:
        with open(archive, "rb") as file:
            members = _zip_members if file.read(2) == b"PK" else _tar_members
        for count, (member, opened) in enumerate(members(archive, name)):
            path = PurePosixPath(member)
            # Backslashes and colons lead elsewhere on Windows.
            if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in member or ":" in member:
                raise ValueError(f"{name} holds {member!r}, a path that could lead out of its folder.")
            if count >= _MAXIMUM_FILES:
                raise ValueError(f"{name} holds more than {_MAXIMUM_FILES:,} files.")
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened, open(target, "xb") as file:
                while block := opened.read(1 << 20):
                    remaining -= len(block)
                    if remaining < 0:
                        raise ValueError(f"{name} unpacks to more than the {maximum_bytes:,} bytes that are accepted.")
                    file.write(block)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be unpacked: {error}.") from error


def _tar_members(archive, name):
    with tarfile.open(archive, "r:gz") as opened:
        for member in opened:
            if member.isdir():
                continue
            if not member.isreg():
                raise ValueError(f"{name} holds {member.name!r}, which is neither a file nor a folder.")
            yield member.name, opened.extractfile(member)


def _zip_members(archive, name):
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if member.is_dir():
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError(f"{name} holds {member.filename!r}, which is neither a file nor a folder.")
            yield member.filename, opened.open(member)
