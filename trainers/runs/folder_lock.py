"""A lock on a run's folder: two trainers would mix their logs and overwrite each other's checkpoints."""

import contextlib
from pathlib import Path

import filelock

from trainers.runs.errors import FolderInUse

LOCK = ".lock"


@contextlib.contextmanager
def only_trainer(folder):
    """A context in which no other process can train in a folder. The lock ends with the process, even if it is killed.

    Raises:
        FolderInUse: another trainer holds it.
    """
    lock = filelock.FileLock(Path(folder, LOCK))
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise FolderInUse(
            f"another trainer is working in {folder}: wait until it ends, or choose another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()
