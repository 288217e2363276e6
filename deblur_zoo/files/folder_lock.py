"""A lock on a folder: two processes would mix their logs and overwrite each other's files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from deblur_zoo.annotations import StrPath

LOCK = ".lock"


@contextmanager
def only_process(folder: StrPath, in_use: Exception) -> Iterator[None]:
    """A context in which no other process can lock a folder. The lock ends with the process, even if it is killed.

    Args:
        folder: where the lock lies; it is made if it does not exist.
        in_use: raised if another process holds the lock.
    """
    lock = filelock.FileLock(Path(folder, LOCK))
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise in_use from None
    try:
        yield
    finally:
        lock.release()
