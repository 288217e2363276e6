"""Lists the pictures to restore and where their results go, and reports the outcome.

Results may go beside other files, so unlike ``files.resumable_folder`` this keeps no settings or report in their
folder: results are written atomically, and existing ones are skipped.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deblur_zoo.annotations import StrPath
from deblur_zoo.files import pictures as picture_files
from deblur_zoo.files.folders import real_path, without_results

# Endings that the commands' --ext takes.
FORMATS = ("jpg", "png", "tiff", "webp", "bmp")
# Endings of results for formats that are read but not written.
_ENDINGS = {".heic": ".jpg", ".heif": ".jpg", ".avif": ".jpg"}


@dataclass
class Report:
    """The outcome of a folder.

    Attributes:
        restored: paths of the written files.
        skipped: paths of existing results, which were not replaced.
        failed: (path, reason) of the files that could not be restored.
        faces: number of faces found in each photo, by the path of its result.
    """

    restored: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    faces: dict[Path, int] = field(default_factory=dict)

    def tell(self, target: StrPath | None, by: str, seconds: float) -> None:
        """Print it.

        Args:
            target: the folder of the results, or None for a single file.
            by: what restored the pictures, such as a model's name.
            seconds: how long it took.
        """
        if self.restored:
            what = str(self.restored[0]) if target is None else f"{counted(len(self.restored))} in {target}"
            print(f"Restored {what} with {by} in {seconds:.2f} s")
        without = [path for path, faces in self.faces.items() if not faces]
        if without:
            print(f"{counted(len(without))} without a face, left unchanged: {_named(without)}")
        if self.skipped:
            print(f"{counted(len(self.skipped))} skipped: the results exist (see --overwrite): {_named(self.skipped)}")
        if self.failed:
            print(f"{counted(len(self.failed))} could not be restored:", file=sys.stderr)
            for path, reason in self.failed:
                print(f"  {path}: {reason}", file=sys.stderr)


def counted(count: int) -> str:
    """ "1 picture", "2 pictures"."""
    return f"{count} picture{'' if count == 1 else 's'}"


def _named(paths):
    return ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")


def plan(
    sources: Iterable[StrPath],
    target: StrPath,
    overwrite: bool = False,
    maximum_pixels: int = picture_files.MAXIMUM_RESTORED_PIXELS,
    suffix: str = "",
    ending: str | None = None,
) -> dict[Path, Path]:
    """Path of every picture with the path of its result, for files and folders.

    Args:
        sources: paths. A single file is planned by ``plan_file``, a single folder by ``plan_folder``. Results of
            several sources go into the folder ``target`` under their own names, a folder's into a sub-folder of its
            name.
        target: file or folder to write.
        overwrite: allow results to replace pictures that are read.
        maximum_pixels: a single file with more is refused.
        suffix: appended to the names of results in a folder; pictures with such names are results and not read.
        ending: of results in a folder, such as ".png"; None: that of each picture, .jpg for HEIC and AVIF.

    Raises:
        As ``plan_file`` and ``plan_folder``; for a single file also as ``picture_files.load_to_restore``.
        ValueError: two pictures would have the same result, or one picture two results; a suffix with a "/".
    """
    if "/" in suffix or os.sep in suffix:
        raise ValueError(f"The suffix {suffix!r} becomes part of a file's name and cannot contain {os.sep!r}.")
    if ending is not None:
        picture_files.check_ending(f"result{ending}")
    paths = [Path(source) for source in sources]
    if len(paths) > 1:
        return _plan_several(paths, target, overwrite, suffix, ending)
    (source,) = paths
    if source.is_dir():
        return plan_folder(source, target, overwrite, suffix, ending)
    jobs = {source: plan_file(source, target, overwrite, suffix, ending)}
    picture_files.load_to_restore(source, maximum_pixels)
    return jobs


def plan_file(
    source: StrPath, target: StrPath, overwrite: bool = False, suffix: str = "", ending: str | None = None
) -> Path:
    """Where ``Restorer.restore_file`` writes; raises what it raises before it reads the picture."""
    source, folder = Path(source), os.fspath(target).endswith(("/", os.sep))
    target = Path(target)
    if folder:
        _check_folder(target)
    if folder or target.is_dir():
        target = target / _result_name(source, suffix, ending)
    elif suffix or ending is not None:
        raise ValueError(f"A suffix and an ending need a folder for the results, but {target} is a file.")
    picture_files.check_ending(target)
    if not overwrite and real_path(target) == real_path(source):
        raise ValueError(f"{target} would be overwritten by its own result: give another name, or allow overwriting.")
    return target


def plan_folder(
    source: StrPath, target: StrPath, overwrite: bool = False, suffix: str = "", ending: str | None = None
) -> dict[Path, Path]:
    """Path of every picture that ``Restorer.restore_folder`` reads, with the path of its result; raises the same."""
    source, target = Path(source), Path(target)
    _check_folder(target)
    jobs = result_paths(_pictures_in(source, target, suffix), source, target, suffix, ending)
    _check_overwriting(jobs, overwrite)
    return jobs


def without_existing(jobs: Mapping[Path, Path]) -> tuple[dict[Path, Path], list[Path]]:
    """The jobs whose results do not exist yet, and the paths of the existing results."""
    open_jobs = {path: result for path, result in jobs.items() if not os.path.lexists(result)}
    return open_jobs, [result for path, result in jobs.items() if path not in open_jobs]


def _plan_several(sources, target, overwrite, suffix, ending):
    target, jobs, sources_of = Path(target), {}, {}
    _check_folder(target)
    for source in sources:
        if source.is_dir():
            inside = target / real_path(source).name
            found = result_paths(_pictures_in(source, target, suffix), source, inside, suffix, ending)
        else:
            found = {source: target / _result_name(Path(real_path(source).name), suffix, ending)}
            picture_files.check_ending(found[source])
        for path, result in found.items():
            if jobs.setdefault(path, result) != result:
                raise ValueError(f"{path} is given twice and would be restored to both {jobs[path]} and {result}.")
            other = sources_of.setdefault(result, path)
            if other != path:
                raise ValueError(f"{other} and {path} would both be restored to {result}: restore them separately.")
    _check_overwriting(jobs, overwrite)
    return jobs


def _result_name(path, suffix, ending):
    return f"{path.stem}{suffix}{ending or _ENDINGS.get(path.suffix.lower(), path.suffix)}"


def result_paths(
    paths: Iterable[Path], source: Path, target: Path, suffix: str = "", ending: str | None = None
) -> dict[Path, Path]:
    """Paths of pictures in a folder with those of their results in another, which keep their place; as ``plan``."""
    results = {path: target / path.relative_to(source).with_name(_result_name(path, suffix, ending)) for path in paths}
    count = Counter(results.values())
    for path, result in results.items():
        # a.heic beside a.jpg: the one whose ending changes becomes a.heic.jpg.
        if count[result] > 1 and result.suffix != path.suffix:
            results[path] = result.with_name(f"{path.name}{suffix}{result.suffix}")
    return results


def _check_folder(target):
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{target} is a file, but the results need a folder.")


def _pictures_in(source, target, suffix):
    """The pictures in a folder, without those in ``target`` and those whose names end in the suffix."""
    paths = without_results(picture_files.list_pictures(source), source, target)
    paths = [path for path in paths if not (suffix and path.stem.endswith(suffix))]
    if not paths:
        raise ValueError(f"There are no pictures ({', '.join(picture_files.READ_ENDINGS)}) in {source}.")
    return paths


def _check_overwriting(jobs, overwrite):
    read = set() if overwrite else {real_path(path) for path in jobs}
    clash = next((result for result in jobs.values() if real_path(result) in read), None)
    if clash is not None:
        raise ValueError(f"{clash} is read and would be overwritten: give another folder, or allow overwriting.")
