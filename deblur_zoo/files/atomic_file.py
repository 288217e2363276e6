"""Writing a file so that it is there complete or not at all."""

import errno
import os
import secrets
from contextlib import contextmanager
from pathlib import Path

# Faults of the place and not of the file: the next file would meet them too.
_NO_FURTHER = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def ends_a_run(error):
    """Whether an OSError of writing one file (disk full, no permission) would meet every other file too."""
    return error.errno in _NO_FURTHER


@contextmanager
def atomic_path(target):
    """Give a temporary path beside ``target``; when the block ends well, what was written there becomes ``target``.

    The temporary name is hidden and keeps the end of the target's name, since some writers choose the format by it.
    If the block raises, the temporary file is removed and an older ``target`` stays as it was. An OSError that names
    no file, as that of a full disk, names the target then.

    Raises:
        FileNotFoundError: the folder of ``target`` does not exist.
        OSError: it cannot be written; the error names ``target``.
    """
    target = Path(target)
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(f"There is no folder {target.parent} to write {target.name} into.")
    # The end of the name only: with the whole of it a long name would pass the file system's 255 bytes.
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
