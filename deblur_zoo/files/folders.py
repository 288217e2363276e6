"""Files in a folder and its sub-folders, by their endings; what is passed over is told."""

import logging
import os
from collections import Counter
from pathlib import Path

_NAMED = 3


def existing_folder(folder):
    """The folder as a Path.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {folder}.")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, not a folder.")
    return folder


def real_path(path):
    """The path without links, for comparing; unlike ``Path.resolve``, also where a link leads to itself."""
    return Path(os.path.realpath(path))


def without_results(paths, source, target):
    """Those paths of a folder ``source`` that do not lie in the folder of results ``target``, with all links followed.

    All of them where ``source`` is ``target`` or lies in it.
    """
    target, source = real_path(target), real_path(source)
    if target in (source, *source.parents):
        return paths
    return [path for path in paths if target not in real_path(path).parents]


def list_files(folder, endings):
    """Paths of all files with these endings, sorted, as ``find_files``; what is passed over is logged as a warning.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    paths, passed_over = find_files(folder, endings)
    if passed_over:
        count = Counter(ending or "without an ending" for _, ending in passed_over)
        kinds = ", ".join(f"{number} {kind}" for kind, number in count.most_common())
        names = ", ".join(str(path.relative_to(folder)) for path, _ in passed_over[:_NAMED])
        more = ", ..." if len(passed_over) > _NAMED else ""
        logging.getLogger(__name__).warning(
            "Passed over in %s: %s (%s%s); read are %s.", folder, kinds, names, more, ", ".join(sorted(endings))
        )
    return paths


def find_files(folder, endings):
    """All files with these endings in a folder and its sub-folders, and all others.

    Links to folders are followed, each folder once: a second link to one, or a link that leads back, is passed over.
    Hidden files and folders (names that begin with a dot) are left out.

    Args:
        folder: path.
        endings: collection of lower-case endings with their dot.

    Returns:
        paths: sorted list; of whatever kind: what an entry is (a pipe, a broken link) shows when it is opened.
        passed_over: sorted list of (path, kind) of what was not taken; the kind is a file's ending in lower case, or
            says what kind of folder it is.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    found, passed_over, seen = [], [], set()

    def unreadable(error):
        passed_over.append((Path(error.filename), "folder that cannot be read"))

    # Folders proper come before links to them, so that what is read does not depend on how a link is called.
    waiting = [existing_folder(folder)]
    while waiting:
        links = []
        for start in waiting:
            if _identity(start) in seen:
                passed_over.append((start, "link to a folder that is read already"))
                continue
            for place, folders, names in os.walk(start, onerror=unreadable):
                seen.add(_identity(place))
                inside = [Path(place, name) for name in folders if not name.startswith(".")]
                links += [path for path in inside if path.is_symlink()]
                # Beyond a link, folders that were read already may come up again.
                folders[:] = [path.name for path in inside if not path.is_symlink() and _identity(path) not in seen]
                for name in names:
                    ending = os.path.splitext(name)[1].lower()
                    if not name.startswith("."):
                        (found if ending in endings else passed_over).append((Path(place, name), ending))
        waiting = sorted(links)
    return sorted(path for path, _ in found), sorted(passed_over)


def _identity(folder):
    try:
        status = os.stat(folder)
    except OSError:
        return os.fspath(folder)
    return status.st_dev, status.st_ino
