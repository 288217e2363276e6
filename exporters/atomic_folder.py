"""Folders that appear whole or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile


@contextlib.contextmanager
def atomic_folder(target, overwrite=False):
    """Give a temporary folder beside ``target``; when the block ends well, it takes the target's place.

    When the block raises, the temporary folder goes, and so do the parents that were made for it. What stood at
    the target before is untouched until then.

    Args:
        target: path of the folder to be.
        overwrite: replace what is there.

    Yields:
        pathlib.Path of the temporary folder, empty, on the same file system. Its name begins with a dot.

    Raises:
        FileExistsError: the target is there, and ``overwrite`` is false.
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
        raise FileExistsError(f"{target} is there already")


def _make_parents(folder):
    """Make a folder and its parents; returns those that were missing, outermost first."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()][::-1]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _move_into_place(temporary, target, overwrite):
    # Again: it may have appeared while the block ran.
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
