"""Which picture files are restored and where the results go; what became of them."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from deblur_zoo.annotations import StrPath
from deblur_zoo.files import pictures as picture_files
from deblur_zoo.files.folders import real_path, without_results


@dataclass
class Report:
    """What became of a folder.

    Attributes:
        restored: paths of the written files.
        failed: (path, reason) of the files that could not be restored.
        faces: of photos, how many faces were found in each, by the path of its result.
    """

    restored: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    faces: dict[Path, int] = field(default_factory=dict)

    def tell(self, target: StrPath | None, by: str, seconds: float) -> None:
        """Print it for a person at a command line.

        Args:
            target: the folder of the results, None where a single file was asked for.
            by: what restored, such as a model's name.
            seconds: that it took.
        """
        if self.restored:
            what = str(self.restored[0]) if target is None else f"{counted(len(self.restored))} in {target}"
            print(f"Restored {what} with {by} in {seconds:.2f} s")
        without = [path for path, faces in self.faces.items() if not faces]
        if without:
            print(
                f"{counted(len(without))} without a face, left unchanged: {', '.join(map(str, without[:3]))}"
                + (", ..." if len(without) > 3 else "")
            )
        if self.failed:
            print(f"{counted(len(self.failed))} could not be restored:", file=sys.stderr)
            for path, reason in self.failed:
                print(f"  {path}: {reason}", file=sys.stderr)


def counted(count: int) -> str:
    """ "1 picture", "2 pictures"."""
    return f"{count} picture{'' if count == 1 else 's'}"


def plan(
    sources: Iterable[StrPath],
    target: StrPath,
    overwrite: bool = False,
    maximum_pixels: int = picture_files.MAXIMUM_RESTORED_PIXELS,
) -> dict[Path, Path]:
    """Path of every picture with the path of its result, for files and folders.

    Args:
        sources: paths; one file's result is ``target`` as for ``plan_file``, one folder's as for ``plan_folder``. Those
            of several go into the folder ``target`` under their own names, a folder's into a folder of its name.
        target: file or folder to write.
        overwrite: allow results to replace pictures that are read.
        maximum_pixels: a single file with more is refused.

    Raises:
        As ``plan_file`` and ``plan_folder``; for a single file also as ``picture_files.load_to_restore``.
        ValueError: two pictures would have the same result, or a picture two.
    """
    paths = [Path(source) for source in sources]
    if len(paths) > 1:
        return _plan_several(paths, target, overwrite)
    (source,) = paths
    if source.is_dir():
        return plan_folder(source, target, overwrite)
    jobs = {source: plan_file(source, target, overwrite)}
    picture_files.load_to_restore(source, maximum_pixels)
    return jobs


def plan_file(source: StrPath, target: StrPath, overwrite: bool = False) -> Path:
    """Where ``Restorer.restore_file`` writes; raises what it raises before it reads the picture."""
    source, folder = Path(source), os.fspath(target).endswith(("/", os.sep))
    target = Path(target)
    if folder:
        _check_folder(target)
    if folder or target.is_dir():
        target = target / source.name
    picture_files.check_ending(target)
    if not overwrite and real_path(target) == real_path(source):
        raise ValueError(f"{target} would be overwritten by its own result: give another name, or allow overwriting.")
    return target


def plan_folder(source: StrPath, target: StrPath, overwrite: bool = False) -> dict[Path, Path]:
    """Path of every picture that ``Restorer.restore_folder`` reads, with the path of its result; raises the same."""
    source, target = Path(source), Path(target)
    _check_folder(target)
    jobs = {path: target / path.relative_to(source) for path in _pictures_in(source, target)}
    _check_overwriting(jobs, overwrite)
    return jobs


def _plan_several(sources, target, overwrite):
    target, jobs, sources_of = Path(target), {}, {}
    _check_folder(target)
    for source in sources:
        name = real_path(source).name
        if source.is_dir():
            found = {path: target / name / path.relative_to(source) for path in _pictures_in(source, target)}
        else:
            found = {source: target / name}
            picture_files.check_ending(source)
        for path, result in found.items():
            if jobs.setdefault(path, result) != result:
                raise ValueError(f"{path} is given twice, to be restored to {jobs[path]} and to {result}.")
            other = sources_of.setdefault(result, path)
            if other != path:
                raise ValueError(f"{other} and {path} would both be restored to {result}: restore them one by one.")
    _check_overwriting(jobs, overwrite)
    return jobs


def _check_folder(target):
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{target} is a file; the results go into a folder.")


def _pictures_in(source, target):
    """The pictures in a folder, without those in ``target``."""
    paths = without_results(picture_files.list_pictures(source), source, target)
    if not paths:
        raise ValueError(f"There are no pictures ({', '.join(picture_files.WRITE_FORMATS)}) in {source}.")
    return paths


def _check_overwriting(jobs, overwrite):
    read = set() if overwrite else {real_path(path) for path in jobs}
    clash = next((result for result in jobs.values() if real_path(result) in read), None)
    if clash is not None:
        raise ValueError(f"{clash} is read and would be overwritten: give another folder, or allow overwriting.")
