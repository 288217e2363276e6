"""Photos, face crops and folders of them in, restored ones out."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from deblur_zoo.annotations import Array, Pictures, StrPath
from deblur_zoo.files import atomic_file
from deblur_zoo.files import pictures as picture_files
from deblur_zoo.restoration.folders import Report, plan_file, plan_folder, without_existing
from deblur_zoo.restoration.outputs import Outputs
from deblur_zoo.restoration.photo import DEFAULT_PRESET, PhotoOptions, RestoredPhoto, restore_photo
from deblur_zoo.restoration.video import RestoredVideo, restore_video

# A batch holds at most ``batch_size`` pictures of this many pixels, and fewer of larger ones.
_PIXELS_PER_PICTURE = 256 * 256
# Pictures of different sizes wait for others of their size; so many batches' pixels may wait in all.
_WAITING_BATCHES = 4


class Network(Protocol):
    """What restores crops for a ``Restorer``: a ``Deblurrer``, an exported model, a ``deblur_zoo.serving.Client``."""

    name: str

    def run(self, images: Array) -> Array:
        """float32 (N, H, W, 3), RGB in [0, 1], to the same, restored."""


class Restorer:
    """Restores photos, or aligned face crops, with one model.

    In a photo every face is found, restored at the size that suits its blur, and blended back.

    Args:
        model: a ``Network``, or what ``deblur_zoo.load`` takes (a preset's name, a directory, a URI).
        batch_size: how many pictures up to 256x256 go through the network at once; fewer of larger ones.
        passes: how many times each picture goes through the network.
        maximum_pixels: larger pictures are refused. Unless given, photos may have 64 million pixels and crops, which
            go through the network whole, 2048 x 2048.
        crops: pictures are aligned face crops, which go through the network as they are.
        options: what to restore in a photo; ``PhotoOptions()`` unless given.

    Raises:
        As ``deblur_zoo.load``; ValueError for a batch size, passes or maximum below 1, or for
        photos with a file of one size (``.tflite``).
    """

    def __init__(
        self,
        model: Network | StrPath = DEFAULT_PRESET,
        batch_size: int = 16,
        passes: int = 1,
        maximum_pixels: int | None = None,
        crops: bool = False,
        options: PhotoOptions | None = None,
    ) -> None:
        if maximum_pixels is None:
            maximum_pixels = picture_files.MAXIMUM_RESTORED_PIXELS if crops else picture_files.MAXIMUM_PIXELS
        numbers = {"batch_size": batch_size, "passes": passes, "maximum_pixels": maximum_pixels}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is a whole number of at least 1, not {value!r}.")
        if isinstance(model, (str, os.PathLike)):
            # Imports Keras.
            from deblur_zoo.zoo import load

            model = load(model, kind="deblurrer")
        size = getattr(model, "fixed_size", None)
        if size and not crops:
            raise ValueError(
                f"This file of {model.name} takes only {size[0]}x{size[1]} pixels, so it restores aligned crops "
                "(--crops, crops=True); for photos use a preset or another format."
            )
        self.model = model
        self.batch_size = batch_size
        self.passes = passes
        self.maximum_pixels = maximum_pixels
        self.crops = crops
        self.options = options or PhotoOptions()

    def restore(self, photo: Pictures, progress: Callable[[float], object] | None = None) -> RestoredPhoto:
        """Restore a photo; with ``crops``, a face crop or a batch of them.

        Args:
            photo: a path, a PIL image, or an array (H, W) or (H, W, C), C = 1, 3 or 4; uint8, uint16 or float in
                [0, 1]. A batch of crops is (N, H, W, C).
            progress: called with the share of a photo that is done, in [0, 1].

        Returns:
            RestoredPhoto, whose ``pixels`` have the input's shape: uint16 for 16 bits, else uint8.

        Raises:
            FileNotFoundError, ValueError, TypeError: as ``deblur_zoo.files.pictures.load``.
        """
        start = time.perf_counter()
        picture = self._load(photo)
        reading = time.perf_counter() - start
        if self.crops:
            return RestoredPhoto(picture.rebuild(self._restore_batch(picture.rgb), picture.deep), source=picture)
        result = restore_photo(picture.levels()[0], self._restore_batch, self.options, progress=progress)
        result.pixels = picture.rebuild_levels(result.pixels[None])
        result.seconds = {"reading": reading, **result.seconds}
        result.source = picture
        return result

    def _load(self, source):
        if self.crops:
            return picture_files.load_to_restore(source, self.maximum_pixels)
        picture = picture_files.load(source, self.maximum_pixels)
        if len(picture.colours) != 1:
            raise ValueError("A batch of pictures is restored with crops=True; photos are given one by one.")
        return picture

    def restore_file(self, source: StrPath, target: StrPath, overwrite: bool = False) -> Path:
        """Restore a picture file.

        Args:
            source: the blurred picture.
            target: file to write (its ending names the format); or a folder, for the same name there: one that exists,
                or one given with a "/" at its end. Missing folders are made.
            overwrite: replace a file that is there, be it ``source`` itself.

        Returns:
            Path of the written file.

        Raises:
            FileNotFoundError: no such file.
            FileExistsError: there is a file at ``target``, and ``overwrite`` is not set.
            NotADirectoryError: ``target`` is given as a folder and is a file.
            ValueError: not a picture, a target of unknown format, or the source itself.
        """
        path = plan_file(source, target, overwrite)
        if not overwrite and os.path.lexists(path):
            raise FileExistsError(f"{path} exists already: give another name, or allow overwriting.")
        restored = self.restore(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        restored.save(path)
        return path

    def restore_video(
        self,
        source: StrPath,
        target: StrPath,
        overwrite: bool = False,
        progress: Callable[[str, int, int], object] | None = None,
    ) -> RestoredVideo:
        """Restore the faces of a video: sound, times and everything around the faces stay as they are.

        Args:
            source: the video, of any kind that FFmpeg reads.
            target: file to write, ending in .mp4, .m4v, .mov or .mkv.
            overwrite: replace an older file at ``target``, which may be ``source``.
            progress: called with the stage ("finding faces" or "restoring"), frames done, and frames in all.

        Returns:
            RestoredVideo.

        Raises:
            FileNotFoundError, FileExistsError: no source; a target that exists, without ``overwrite``.
            ImportError: PyAV is missing.
            ValueError: not a video, or of a kind that is not supported; or this restorer is for crops.
            OSError: the file cannot be written. Then, and after Ctrl-C, nothing is left of it.
        """
        if self.crops:
            raise ValueError("Crops are pictures: videos are restored with crops=False.")
        return restore_video(
            source,
            target,
            self._restore_batch,
            self.options,
            maximum_pixels=self.maximum_pixels,
            overwrite=overwrite,
            progress=progress,
        )

    def restore_folder(
        self,
        source: StrPath,
        target: StrPath,
        progress: Callable[[float, int], object] | None = None,
        overwrite: bool = False,
    ) -> Report:
        """Restore all pictures in a folder and its sub-folders, under the same names in another folder.

        Crops of one size go through the network together. Files that cannot be read, restored or written are left out
        and reported. Pictures whose results are there already are skipped, so that a run that was stopped is continued.

        Args:
            source: folder with pictures; hidden files and files of other endings are ignored.
            target: folder to write into; made if it is not there. It may lie in ``source`` and is then not read.
            progress: called as ``progress(done, total)`` in pictures, at first with ``done`` = 0. While a photo is
                restored, ``done`` has a fraction.
            overwrite: replace results that are there, be they pictures that are read.

        Returns:
            Report.

        Raises:
            FileNotFoundError, NotADirectoryError: ``source`` or ``target`` is not a folder.
            ValueError: no pictures, or results would replace pictures that are read.
            OSError: nothing more can be written (disk full, no permission).
        """
        planned = plan_folder(source, target, overwrite)
        jobs, skipped = (planned, []) if overwrite else without_existing(planned)
        report = self.restore_planned(jobs, progress)
        report.skipped = skipped
        return report

    def restore_planned(
        self,
        jobs: Mapping[Path, Path],
        progress: Callable[[float, int], object] | None = None,
        outputs: Outputs | None = None,
    ) -> Report:
        """Restore picture files, crops of one size together. Files that cannot be read are left out and reported.

        Args:
            jobs: dict of each picture's path to the path of its result, as ``plan`` gives it.
            progress: as for ``restore_folder``.
            outputs: what is written; the result alone unless given.

        Returns:
            Report.

        Raises:
            OSError: a result cannot be written.
        """
        outputs, progress = outputs or Outputs(), progress or (lambda done, total: None)
        report = (self._restore_crops if self.crops else self._restore_photos)(jobs, progress, outputs)
        for path, reason in report.failed:
            outputs.tell({"photo": str(path), "error": reason})
        return report

    def _restore_photos(self, jobs, progress, outputs):
        report = Report()
        for done, (path, target) in enumerate(jobs.items()):
            progress(done, len(jobs))
            try:
                result = self.restore(path, lambda share, done=done: progress(done + share, len(jobs)))
                outputs.write(result, path, target)
            # Runtimes have errors of their own.
            except Exception as error:
                if isinstance(error, OSError) and atomic_file.ends_a_run(error, path):
                    raise
                report.failed.append((path, _reason(error)))
            else:
                report.restored.append(target)
                report.faces[target] = len(result.faces)
        progress(len(jobs), len(jobs))
        return report

    def _restore_crops(self, jobs, progress, outputs):
        report = Report()
        waiting: dict[tuple[int, ...], list[tuple[Path, picture_files.Picture]]] = {}
        waiting_pixels = 0

        def finish(size):
            batch = waiting.pop(size)
            finished = len(batch) * size[0] * size[1]
            try:
                restored = self._restore_batch(np.concatenate([picture.rgb for _, picture in batch]))
            except Exception as error:
                # Runtimes have errors of their own for a size that they do not take.
                report.failed += [(path, _reason(error)) for path, _ in batch]
                batch, restored = [], []
            for (path, picture), rgb in zip(batch, restored, strict=True):
                try:
                    pixels = picture.rebuild(rgb[None], picture.deep)
                    outputs.write(RestoredPhoto(pixels, source=picture), path, jobs[path])
                    report.restored.append(jobs[path])
                except (ValueError, OSError) as error:
                    if isinstance(error, OSError) and atomic_file.ends_a_run(error):
                        raise
                    report.failed.append((path, str(error)))
            tell()
            return finished

        def tell():
            progress(len(report.restored) + len(report.failed), len(jobs))

        tell()
        for path in jobs:
            try:
                picture = picture_files.load_to_restore(path, self.maximum_pixels)
            except (ValueError, OSError, MemoryError) as error:
                report.failed.append((path, str(error)))
                tell()
                continue
            size = picture.colours.shape[1:3]
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
        return picture_files.in_passes(self.model.run, self.passes)(rgb)


def _reason(error):
    """An error in one line."""
    if _is_out_of_memory(error):
        return "It needs more memory than there is."
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _is_out_of_memory(error):
    """Whether a network's error means that; each backend has a class of its own for it."""
    return isinstance(error, MemoryError) or any(
        words in f"{type(error).__name__} {error}"
        for words in ("ResourceExhausted", "RESOURCE_EXHAUSTED", "OutOfMemory")
    )


def restore(
    photo: Pictures, model: Network | StrPath = DEFAULT_PRESET, *, passes: int = 1, **options: Any
) -> RestoredPhoto:
    """Restore the faces of one photo: ``deblur_zoo.restore("group.jpg").save("restored.jpg")``.

    For several photos, make one ``Restorer``.

    Args:
        photo: as for ``Restorer.restore``.
        model: as for ``Restorer``.
        passes: how many times each face goes through the network.
        options: fields of ``PhotoOptions``, such as ``faces="largest"`` or ``strength=0.5``.

    Returns:
        RestoredPhoto.

    Raises:
        As ``Restorer`` and ``Restorer.restore``; TypeError for an unknown option.
    """
    return Restorer(model, passes=passes, options=PhotoOptions(**options)).restore(photo)
