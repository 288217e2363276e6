"""Pictures, files and folders of face crops in, restored ones out."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deblur_zoo.annotations import Array, Pictures, StrPath
from deblur_zoo.files import atomic_file
from deblur_zoo.files import pictures as picture_files
from deblur_zoo.files.folders import real_path, without_results

if TYPE_CHECKING:
    from deblur_zoo.models.deblurrer import Deblurrer


# A batch holds at most ``batch_size`` pictures of this many pixels, and fewer of larger ones.
_PIXELS_PER_PICTURE = 256 * 256
# Pictures of different sizes wait for others of their size; so many batches' pixels may wait in all.
_WAITING_BATCHES = 4


@dataclass
class Report:
    """What became of a folder.

    Attributes:
        restored: paths of the written files.
        failed: (path, reason) of the files that could not be restored.
    """

    restored: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)

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


class Restorer:
    """Restores pictures with one model.

    Args:
        model: a ``Deblurrer``, or what ``deblur_zoo.load`` takes (a preset's name, a directory, a URI).
        batch_size: how many pictures up to 256x256 go through the network at once; fewer of larger ones.
        passes: how many times each picture goes through the network.
        maximum_pixels: larger pictures are refused, since the network's memory grows with the pixels.

    Raises:
        As ``deblur_zoo.load``; ValueError for a batch size, passes or maximum below 1.
    """

    def __init__(
        self,
        model: "Deblurrer | StrPath" = "one_step_lite",
        batch_size: int = 16,
        passes: int = 1,
        maximum_pixels: int = picture_files.MAXIMUM_RESTORED_PIXELS,
    ) -> None:
        numbers = {"batch_size": batch_size, "passes": passes, "maximum_pixels": maximum_pixels}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is a whole number of at least 1, not {value!r}.")
        if isinstance(model, (str, os.PathLike)):
            # Imports Keras.
            from deblur_zoo.zoo import load

            model = load(model, kind="deblurrer")
        self.model = model
        self.batch_size = batch_size
        self.passes = passes
        self.maximum_pixels = maximum_pixels

    def restore(self, pictures: Pictures) -> Array:
        """Restore a picture or a batch.

        Args:
            pictures: a path, a PIL image, or an array (H, W), (H, W, C) or (N, H, W, C), C = 1, 3 or 4; uint8, uint16
                or float in [0, 1].

        Returns:
            uint8 array of the input's shape.

        Raises:
            FileNotFoundError, ValueError, TypeError: as ``deblur_zoo.files.pictures.load``.
        """
        picture = picture_files.load_to_restore(pictures, self.maximum_pixels)
        return picture.rebuild(self._restore_batch(picture.rgb))

    def restore_file(self, source: StrPath, target: StrPath, overwrite: bool = False) -> Path:
        """Restore a picture file.

        Args:
            source: the blurred picture.
            target: file to write (its ending names the format); or a folder, for the same name there: one that exists,
                or one given with a "/" at its end. Missing folders are made.
            overwrite: allow ``target`` to be ``source``. Another older file at ``target`` is always replaced.

        Returns:
            Path of the written file.

        Raises:
            FileNotFoundError: no such file.
            NotADirectoryError: ``target`` is given as a folder and is a file.
            ValueError: not a picture, a target of unknown format, or the source itself.
        """
        path = plan_file(source, target, overwrite)
        picture = picture_files.load_to_restore(source, self.maximum_pixels)
        restored = self._restore_batch(picture.rgb)
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, restored)
        return path

    def restore_folder(
        self,
        source: StrPath,
        target: StrPath,
        progress: Callable[[int, int], object] | None = None,
        overwrite: bool = False,
    ) -> Report:
        """Restore all pictures in a folder and its sub-folders, under the same names in another folder.

        Pictures of one size go through the network together. Files that cannot be read, restored or written are left
        out and reported.

        Args:
            source: folder with pictures; hidden files and files of other endings are ignored.
            target: folder to write into; made if it is not there. It may lie in ``source`` and is then not read.
            progress: called as ``progress(done, total)``, at first with ``done`` = 0.
            overwrite: allow results to replace pictures that are read. Other older files are always replaced.

        Returns:
            Report.

        Raises:
            FileNotFoundError, NotADirectoryError: ``source`` or ``target`` is no folder.
            ValueError: no pictures, or results would replace pictures that are read.
            OSError: nothing more can be written (disk full, no permission).
        """
        return self.restore_planned(plan_folder(source, target, overwrite), progress)

    def restore_planned(
        self, jobs: Mapping[Path, Path], progress: Callable[[int, int], object] | None = None
    ) -> Report:
        """Restore picture files, those of one size together. Files that cannot be read are left out and reported.

        Args:
            jobs: dict of each picture's path to the path of its result, as ``plan`` gives it.
            progress: as for ``restore_folder``.

        Returns:
            Report.

        Raises:
            OSError: a result cannot be written.
        """
        report = Report()
        waiting: dict[tuple[int, ...], list[tuple[Path, picture_files.Picture]]] = {}
        waiting_pixels = 0

        def finish(size):
            batch = waiting.pop(size)
            pixels = len(batch) * size[0] * size[1]
            try:
                restored = self._restore_batch(np.concatenate([picture.rgb for _, picture in batch]))
            except Exception as error:
                # Runtimes have errors of their own for a size that they do not take.
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                if _is_out_of_memory(error):
                    reason = "It needs more memory than there is."
                report.failed += [(path, reason) for path, _ in batch]
                batch, restored = [], []
            for (path, picture), rgb in zip(batch, restored, strict=True):
                try:
                    jobs[path].parent.mkdir(parents=True, exist_ok=True)
                    picture.save(jobs[path], rgb[None])
                    report.restored.append(jobs[path])
                except (ValueError, OSError) as error:
                    if isinstance(error, OSError) and atomic_file.ends_a_run(error):
                        raise
                    report.failed.append((path, str(error)))
            tell()
            return pixels

        def tell():
            if progress is not None:
                progress(len(report.restored) + len(report.failed), len(jobs))

        tell()
        for path in jobs:
            try:
                picture = picture_files.load_to_restore(path, self.maximum_pixels)
            except (ValueError, OSError, MemoryError) as error:
                report.failed.append((path, str(error)))
                tell()
                continue
            size = picture.rgb.shape[1:3]
            waiting.setdefault(size, []).append((path, picture))
            waiting_pixels += size[0] * size[1]
            if len(waiting[size]) >= self._count_at_once(size):
                waiting_pixels -= finish(size)
            while waiting_pixels > _WAITING_BATCHES * self.batch_size * _PIXELS_PER_PICTURE:
                waiting_pixels -= finish(next(iter(waiting)))
        for size in list(waiting):
            finish(size)
        return report

    def _count_at_once(self, size):
        pixels = self.batch_size * _PIXELS_PER_PICTURE
        return max(1, min(self.batch_size, pixels // (size[0] * size[1])))

    def _restore_batch(self, rgb):
        """float32 (N, H, W, 3) in [0, 1] to the same, in batches."""
        count = self._count_at_once(rgb.shape[1:3])
        return np.concatenate([self._run(rgb[start : start + count]) for start in range(0, len(rgb), count)])

    def _run(self, rgb):
        return picture_files.repeated(self.model.run, self.passes)(rgb)


def _is_out_of_memory(error):
    """Whether a network's error means that; each backend has a class of its own for it."""
    return isinstance(error, MemoryError) or any(
        words in f"{type(error).__name__} {error}"
        for words in ("ResourceExhausted", "RESOURCE_EXHAUSTED", "OutOfMemory")
    )
