"""List files in a folder and its sub-folders by their endings, and log what was skipped."""

import logging
import os
from collections import Counter
from pathlib import Path

_NAMED = 3


def existing_folder(folder):
    """The folder as a Path.

    Raises:
        FileNotFoundError, NotADirectoryError: the folder does not exist, or is a file.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {folder}.")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, not a folder.")
    return folder


def real_path(path):
    """The path without links, for comparing; unlike ``Path.resolve``, accepts a link to itself."""
    return Path(os.path.realpath(path))


def without_results(paths, source, target):
    """The paths of a folder ``source`` outside the folder of results ``target``, with all links resolved.

    All paths if ``source`` is ``target`` or inside it.
    """
    target, source = real_path(target), real_path(source)
    if target in (source, *source.parents):
        return paths
    return [path for path in paths if target not in real_path(path).parents]


def list_files(folder, endings):
    """Paths of all files with these endings, sorted, as ``find_files``; skipped files are logged as a warning.

    Raises:
        FileNotFoundError, NotADirectoryError: the folder does not exist, or is a file.
    """
    paths, skipped = find_files(folder, endings)
    if skipped:
        count = Counter(ending or "without an ending" for _, ending in skipped)
        kinds = ", ".join(f"{number} {kind}" for kind, number in count.most_common())
        names = ", ".join(str(path.relative_to(folder)) for path, _ in skipped[:_NAMED])
        more = ", ..." if len(skipped) > _NAMED else ""
        logging.getLogger(__name__).warning(
            "Skipped in %s: %s (%s%s); accepted: %s.", folder, kinds, names, more, ", ".join(sorted(endings))
        )
    return paths


def find_files(folder, endings):
    """All files with these endings in a folder and its sub-folders, and all others.

    Links to folders are followed, each folder once: further links to it, and cycles, are skipped. Hidden files and
    folders (names that begin with a dot) are ignored.

    Args:
        folder: path.
        endings: collection of lower-case endings with their dot.

    Returns:
        paths: sorted list. Pipes, broken links and the like are included: they fail when opened.
        skipped: sorted list of (path, kind); the kind is a file's ending in lower case, or describes the folder.

    Raises:
        FileNotFoundError, NotADirectoryError: the folder does not exist, or is a file.
    """
    found, skipped, seen = [], [], set()

    def unreadable(error):
        skipped.append((Path(error.filename), "folder that cannot be read"))

    # Folders before links to them, so that the result does not depend on the names of links.
    waiting = [existing_folder(folder)]
    while waiting:
        links = []
        for start in waiting:
            if _identity(start) in seen:
                skipped.append((start, "link to a folder that was read already"))
                continue
            for place, folders, names in os.walk(start, onerror=unreadable):
                seen.add(_identity(place))
                inside = [Path(place, name) for name in folders if not name.startswith(".")]
                links += [path for path in inside if path.is_symlink()]
                # A link may lead to folders that were read already.
                folders[:] = [path.name for path in inside if not path.is_symlink() and _identity(path) not in seen]
                for name in names:
                    ending = os.path.splitext(name)[1].lower()
                    if not name.startswith("."):
                        (found if ending in endings else skipped).append((Path(place, name), ending))
        waiting = sorted(links)
    return sorted(path for path, _ in found), sorted(skipped)


def _identity(folder):
    try:
        status = os.stat(folder)
    except OSError:
        return os.fspath(folder)
    return status.st_dev, status.st_ino
