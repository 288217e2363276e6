"""Apache Beam: folders that may be URIs of its file systems (gs://, s3://, hdfs://), and its options."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from deblur_zoo.annotations import StrPath


def file_systems() -> Any:
    """Beam's ``FileSystems``. Imported on use: workers with local folders do not need Beam."""
    from apache_beam.io.filesystems import FileSystems

    return FileSystems


def is_local(folder: StrPath) -> bool:
    """Whether a folder is local and not a URI such as gs://bucket/folder."""
    return "://" not in str(folder)


def join(folder: StrPath, name: str) -> str:
    """The path or URI of a file in a folder."""
    return f"{str(folder).rstrip('/')}/{name}"


def names_in(folder: StrPath, endings: tuple[str, ...]) -> list[str]:
    """Names of the files in a folder or below whose lower-case names have one of the endings, sorted."""
    base = join(folder, "")
    paths = [metadata.path for match in file_systems().match([f"{base}**"]) for metadata in match.metadata_list]
    return sorted(path.removeprefix(base) for path in paths if path.lower().endswith(endings))


def download(path: str, local: StrPath) -> None:
    """Copy a file of Beam's file systems to a local path."""
    with file_systems().open(path) as source, open(local, "wb") as target:
        shutil.copyfileobj(source, target)


def upload(local: StrPath, path: str) -> None:
    """Copy a local file to Beam's file systems, where it appears when it is complete."""
    with open(local, "rb") as source, _created(path) as target:
        shutil.copyfileobj(source, target)


def write(path: str, content: bytes) -> None:
    """Write a file of Beam's file systems, which appears when it is complete."""
    with _created(path) as target:
        target.write(content)


@contextlib.contextmanager
def _created(path: str) -> Iterator[Any]:
    temporary = f"{path}.partial"
    with file_systems().create(temporary) as target:
        yield target
    file_systems().rename([temporary], [path])


def read(path: str) -> str | None:
    """The text of a file, None if it does not exist."""
    if not file_systems().exists(path):
        return None
    with file_systems().open(path) as file:
        return file.read().decode("utf-8", "replace")


def size(path: str) -> int | None:
    """The size of a file in bytes, None if it does not exist."""
    found = [metadata for match in file_systems().match([path]) for metadata in match.metadata_list]
    return found[0].size_in_bytes if found else None


def with_local_runner(arguments: Sequence[str]) -> list[str]:
    """Beam's options, with a runner on this machine unless they name one, and a process per core unless they say."""
    arguments = list(arguments)
    if not any(argument.startswith("--runner") for argument in arguments):
        # By name, since DirectRunner would first try to download another runner.
        arguments += ["--runner=FnApiRunner", "--direct_running_mode=multi_processing"]
        if not any(argument.startswith("--direct_num_workers") for argument in arguments):
            arguments.append(f"--direct_num_workers={os.cpu_count() or 1}")
    return arguments
