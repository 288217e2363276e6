"""Pictures, files and folders of face crops in, restored ones out."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deblur_zoo.files import pictures as picture_files

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

    restored: list = field(default_factory=list)
    failed: list = field(default_factory=list)

    def tell(self, target, by, seconds):
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


def counted(count):
    """ "1 picture", "2 pictures"."""
    return f"{count} picture{'' if count == 1 else 's'}"


def plan(source, target, overwrite=False):
    """Path of every picture with the path of its result, for a file or a folder.

    Raises:
        As ``plan_file`` and ``plan_folder``; for a single file also as ``picture_files.load``.
    """
    source = Path(source)
    if source.is_dir():
        return plan_folder(source, target, overwrite)
    jobs = {source: plan_file(source, target, overwrite)}
    picture_files.load(source)
    return jobs


def plan_file(source, target, overwrite=False):
    """Where ``Restorer.restore_file`` writes; raises what it raises before it reads the picture."""
    source, target = Path(source), Path(target)
    if target.is_dir():
        target = target / source.name
    picture_files.check_ending(target)
    if not overwrite and target.resolve() == source.resolve():
        raise ValueError(f"{target} would be overwritten by its own result: give another name, or allow overwriting.")
    return target


def plan_folder(source, target, overwrite=False):
    """Path of every picture that ``Restorer.restore_folder`` reads, with the path of its result; raises the same."""
    source, target = Path(source), Path(target)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{target} is a file; the results of a folder go into a folder.")
    paths = picture_files.list_pictures(source)
    if source.resolve() in target.resolve().parents:
        paths = [path for path in paths if target.resolve() not in path.resolve().parents]
    if not paths:
        raise ValueError(f"There are no pictures ({', '.join(picture_files.WRITE_FORMATS)}) in {source}.")
    jobs = {path: target / path.relative_to(source) for path in paths}
    if not overwrite:
        read = {path.resolve() for path in paths}
        clash = next((result for result in jobs.values() if result.resolve() in read), None)
        if clash is not None:
            raise ValueError(f"{clash} is read and would be overwritten: give another folder, or allow overwriting.")
    return jobs


class Restorer:
    """Restores pictures with one model.

    Args:
        model: a ``Deblurrer``, or what ``deblur_zoo.load`` takes (a preset's name, a directory, a URI).
        batch_size: how many pictures up to 256x256 go through the network at once; fewer of larger ones.
        passes: how many times each picture goes through the network.

    Raises:
        As ``deblur_zoo.load``; ValueError for a batch size or passes below 1.
    """

    def __init__(self, model="one_step_lite", batch_size=16, passes=1):
        for name, value in (("batch_size", batch_size), ("passes", passes)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is a whole number of at least 1, not {value!r}.")
        if isinstance(model, (str, os.PathLike)):
            # Imports Keras.
            from deblur_zoo.zoo import load

            model = load(model, kind="deblurrer")
        self.model = model
        self.batch_size = batch_size
        self.passes = passes

    def restore(self, pictures):
        """Restore a picture or a batch.

        Args:
            pictures: a path, a PIL image, or an array (H, W), (H, W, C) or (N, H, W, C), C = 1, 3 or 4; uint8, uint16
                or float in [0, 1].

        Returns:
            uint8 array of the input's shape.

        Raises:
            FileNotFoundError, ValueError, TypeError: as ``deblur_zoo.files.pictures.load``.
        """
        picture = picture_files.load(pictures)
        return picture.rebuild(self._restore_batch(picture.rgb))

    def restore_file(self, source, target, overwrite=False):
        """Restore a picture file.

        Args:
            source: the blurred picture.
            target: file to write (its ending names the format), or an existing folder, for the same name there.
            overwrite: allow ``target`` to be ``source``. Another older file at ``target`` is always replaced.

        Returns:
            Path of the written file.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a picture, a target of unknown format, or the source itself.
        """
        target = plan_file(source, target, overwrite)
        picture_files.write(target, self.restore(source))
        return target

    def restore_folder(self, source, target, progress=None, overwrite=False):
        """Restore all pictures in a folder and its sub-folders, under the same names in another folder.

        Pictures of one size go through the network together. Files that cannot be read
        are left out and reported, as are pictures that the model does not take.

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
            OSError: a result cannot be written.
        """
        jobs = plan_folder(source, target, overwrite)
        report = Report()
        waiting, waiting_pixels = {}, 0

        def finish(size):
            batch = waiting.pop(size)
            pixels = len(batch) * size[0] * size[1]
            try:
                restored = self._restore_batch(np.concatenate([picture.rgb for _, picture in batch]))
            except Exception as error:
                # Runtimes have errors of their own for a size that they do not take and for memory that is not there.
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                report.failed += [(path, reason) for path, _ in batch]
                batch, restored = [], []
            for (path, picture), rgb in zip(batch, restored, strict=True):
                try:
                    jobs[path].parent.mkdir(parents=True, exist_ok=True)
                    picture_files.write(jobs[path], picture.rebuild(rgb[None]))
                    report.restored.append(jobs[path])
                except ValueError as error:
                    report.failed.append((path, str(error)))
            tell()
            return pixels

        def tell():
            if progress is not None:
                progress(len(report.restored) + len(report.failed), len(jobs))

        tell()
        for path in jobs:
            try:
                picture = picture_files.load(path)
            except (ValueError, OSError) as error:
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
