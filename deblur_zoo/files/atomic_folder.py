"""Write folders atomically."""

import contextlib
import os
import pathlib
import shutil
import tempfile


@contextlib.contextmanager
def atomic_folder(target, overwrite=False):
    """A context with a temporary folder beside ``target``, renamed to ``target`` when the block succeeds.

    If the block raises, the temporary folder and the parents that were created for it are removed. An existing target
    is replaced only at the end.

    Args:
        target: path of the folder.
        overwrite: replace an existing target.

    Yields:
        pathlib.Path of the temporary folder, empty, on the same file system. Its name begins with a dot.

    Raises:
        FileExistsError: the target exists, and ``overwrite`` is false.
    """
    target = pathlib.Path(target)
    _refuse_existing(target, overwrite)
    made = _make_parents(target.parent)
    try:
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
        try:
            yield temporary
            # mkdtemp gives 0700; a server that runs as another user must be able to read the result.
            temporary.chmod(0o755)
            _move_into_place(temporary, target, overwrite)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _refuse_existing(target, overwrite):
    if not overwrite and (target.exists() or target.is_symlink()):
        raise FileExistsError(f"{target} exists")


def _make_parents(folder):
    """Make a folder and its parents; returns those that were missing, outermost first."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()][::-1]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _move_into_place(temporary, target, overwrite):
    # Check again: it may have been created while the block ran.
    _refuse_existing(target, overwrite)
    if not target.exists() and not target.is_symlink():
        os.rename(temporary, target)
        return
    # A folder that holds files cannot be renamed over: the old one steps aside, and comes back if that fails.
    aside = pathlib.Path(tempfile.mkdtemp(prefix=f".{target.name}.replaced-", dir=target.parent))
    os.rename(target, aside / "old")
    try:
        os.rename(temporary, target)
    except BaseException:
        os.rename(aside / "old", target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
