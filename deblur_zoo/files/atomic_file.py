"""Writing a file so that it is there complete or not at all."""

import os
import secrets
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(target):
    """Give a temporary path beside ``target``; when the block ends well, what was written there becomes ``target``.

    The temporary name is hidden and keeps the end of the target's name, since some writers choose the format by it.
    If the block raises, the temporary file is removed and an older ``target`` stays as it was. An OSError that names
    no file, as that of a full disk, names the target then.

    Raises:
        FileNotFoundError: the folder of ``target`` does not exist.
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
        if error.filename in (None, temporary, str(temporary)):
            error.filename, error.filename2 = str(target), None
        raise
    finally:
        temporary.unlink(missing_ok=True)
