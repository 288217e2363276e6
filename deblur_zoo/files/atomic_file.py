"""Write files atomically."""

import errno
import os
import secrets
from contextlib import contextmanager
from pathlib import Path

# Errors of the disk or folder: the next file would fail too.
_NO_FURTHER = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def ends_a_run(error, source=None):
    """Whether an OSError of one file would affect every other file too, as when the disk is full.

    Args:
        error: the OSError.
        source: path of the file that was read for the one to be written: if it may not be read, only that one fails.
    """
    return error.errno in _NO_FURTHER and (source is None or os.access(source, os.R_OK))


@contextmanager
def atomic_path(target):
    """A context with a temporary path beside ``target``, renamed to ``target`` when the block succeeds.

    The temporary name is hidden and ends like the target's name, from which some writers choose the format. If the
    block raises, the temporary file is removed and an older ``target`` stays. An OSError without a file name, such as
    that of a full disk, gets the target's.

    Raises:
        FileNotFoundError: the folder of ``target`` does not exist.
        OSError: it cannot be written; the error names ``target``.
    """
    target = Path(target)
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(f"There is no folder {target.parent} to write {target.name} into.")
    # Only the end of the name: the whole could exceed the file system's 255 bytes.
    temporary = target.with_name(f".partial-{secrets.token_hex(4)}-{target.name[-40:]}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        if error.errno is not None and error.filename in (None, temporary, str(temporary)):
            error.filename, error.filename2 = str(target), None
        raise
    finally:
        temporary.unlink(missing_ok=True)
