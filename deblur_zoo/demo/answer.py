"""The page's answer to a photo: a sentence, the pictures, and the file to download. Independent of the page."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from deblur_zoo.annotations import Array, StrPath
from deblur_zoo.faces.detection import as_rgb
from deblur_zoo.files import pictures
from deblur_zoo.files.one_per_process import OnePerProcess
from deblur_zoo.restoration.folders import plan_file
from deblur_zoo.restoration.outputs import Outputs, with_boxes
from deblur_zoo.restoration.photo import PhotoFace, PhotoOptions, RestoredPhoto
from deblur_zoo.restoration.restorer import Restorer
from deblur_zoo.zoo import load

_models = OnePerProcess(lambda preset: load(preset, kind="deblurrer"), kept=16)
_SUFFIX = "_restored"
# The longer side of the pictures in the page; the download has the photo's size.
_SHOWN_SIDE = 1600


@dataclass(frozen=True)
class Answer:
    """The result of a photo.

    Attributes:
        message: one sentence for the user.
        before, after: the photo and the result, shrunk to at most 1600 pixels; None if nothing was changed.
        marked: the result, shrunk as well, with its faces in numbered boxes; None if there is none.
        download: the result's file; None if nothing was changed.
    """

    message: str
    before: Image.Image | None = None
    after: Image.Image | None = None
    marked: Image.Image | None = None
    download: Path | None = None


@dataclass(frozen=True)
class _Kept(Outputs):
    """Writes what ``RestoredPhoto.save`` writes, and keeps the result."""

    results: list[RestoredPhoto] = field(default_factory=list)

    def write(self, result: RestoredPhoto, photo: Path, target: Path) -> None:
        if _is_changed(result):
            result.save(target)
        self.results.append(result)


def restore(
    photo: StrPath | None,
    preset: StrPath,
    strength: float,
    folder: StrPath,
    maximum_pixels: int = pictures.MAXIMUM_PIXELS,
    progress: Callable[[float], object] | None = None,
) -> Answer:
    """Restore an uploaded photo into a folder.

    Args:
        photo: path of the upload, or None.
        preset: what ``deblur_zoo.load`` takes; kept in memory.
        strength: as in ``PhotoOptions``.
        folder: an empty one for the result.
        maximum_pixels: larger photos are rejected.
        progress: called with the share done, in [0, 1].

    Returns:
        Answer, whose message says what is wrong with the photo, if anything.
    """
    if photo is None:
        return Answer("Choose a photo first.")
    path, kept, told = Path(photo), _Kept(), progress or (lambda share: None)
    options = PhotoOptions(strength=strength)
    with _models.use(os.fspath(preset)) as model:
        restorer = Restorer(model, maximum_pixels=maximum_pixels, options=options)
        start = time.perf_counter()
        try:
            target = plan_file(path, f"{folder}/", suffix=_SUFFIX)
            report = restorer.restore_planned({path: target}, lambda done, total: told(done), kept)
            reasons = [reason for _, reason in report.failed]
        except (ValueError, OSError) as error:
            reasons = [str(error)]
    if reasons:
        return Answer(_told(reasons[0], path))
    (result,) = kept.results
    if not result.faces:
        return Answer("No face was found in this photo.")
    after = as_rgb(pictures.to_uint8(result.pixels))
    marked = _shown(with_boxes(after, result.faces))
    if not _is_changed(result):
        return Answer(_unchanged(result.faces, strength), marked=marked)
    assert result.source is not None
    before = pictures.to_uint8(result.source.levels()[0])
    seconds = time.perf_counter() - start
    return Answer(_done(result.faces, seconds), _shown(before), _shown(after), marked, target)


def preview(photo: StrPath, maximum_pixels: int = pictures.MAXIMUM_PIXELS) -> Image.Image:
    """The photo, shrunk to at most 1600 pixels.

    Raises:
        ValueError: not a picture, damaged or too large; the sentence for the user.
    """
    try:
        return _shown(as_rgb(pictures.read(photo, maximum_pixels)))
    except (ValueError, OSError) as error:
        raise ValueError(_told(error, Path(photo))) from error


def _told(reason: object, path: Path) -> str:
    """The reason, with the photo's name instead of its path in the folder of uploads."""
    return str(reason).replace(str(path), path.name)


def _is_changed(result: RestoredPhoto) -> bool:
    return any(face.restored for face in result.faces)


def _shown(pixels: Array) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE), Image.Resampling.LANCZOS)
    return image


def _unchanged(faces: list[PhotoFace], strength: float) -> str:
    if strength == 0:
        return "At strength 0 the photo is unchanged."
    subject = "The face looks" if len(faces) == 1 else f"All {len(faces)} faces look"
    return f"{subject} sharp already, so the photo is unchanged."


def _done(faces: list[PhotoFace], seconds: float) -> str:
    restored = sum(face.restored for face in faces)
    sharp = len(faces) - restored
    what = "1 face" if len(faces) == 1 else f"{restored} of {len(faces)} faces" if sharp else f"{restored} faces"
    rest = f"; {sharp} look{'s' if sharp == 1 else ''} sharp already" if sharp else ""
    return f"Restored {what} in {seconds:.1f} s{rest}."
