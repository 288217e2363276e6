"""Crop the faces of a folder of photos, resuming after interruptions."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image
from tqdm import tqdm

from deblur_zoo.annotations import Array, StrPath
from deblur_zoo.faces import acceptance, journal
from deblur_zoo.faces.alignment import CROP_SIZE
from deblur_zoo.faces.detection import Detector, Face, as_rgb
from deblur_zoo.faces.journal import NOT_USED, UNREADABLE, USED, Row
from deblur_zoo.faces.warp import align
from deblur_zoo.files import pictures
from deblur_zoo.files.atomic_file import atomic_path, ends_a_run
from deblur_zoo.files.folders import without_results
from deblur_zoo.files.resumable_folder import ResumableFolder


@dataclass(frozen=True)
class Settings:
    """The settings that determine a run's crops; stored beside them, so that crops of other settings are not mixed in.

    Attributes:
        size, margin: of the crops, in pixels, as in ``warp.align``.
        format: "webp" or "png".
        quality: of WebP: 100 is lossless, 1 to 99 is lossy.
        all_faces: crop every face of a photo, not only the main one.
        longest_sides: as in ``detection.Detector``.
        rules: as in ``acceptance.Rules``.
    """

    size: int = CROP_SIZE
    margin: int = 0
    format: str = "webp"
    quality: int = 100
    all_faces: bool = False
    longest_sides: tuple[int, ...] = (320, 1024)
    rules: acceptance.Rules = field(default_factory=acceptance.Rules)


@dataclass(frozen=True)
class Summary:
    """The outcome of a run.

    Attributes:
        photos: number of photos.
        taken_over: how many of them an earlier run had finished.
        crops: number of crops.
        left_out: list of (photo, reason), sorted.
    """

    photos: int
    taken_over: int
    crops: int
    left_out: list

    def kinds(self) -> Counter[str]:
        """Counter of the kinds of reasons."""
        return Counter(reason.split(":")[0] for _, reason in self.left_out)


def align_folder(
    photos: StrPath,
    out: StrPath,
    settings: Settings | None = None,
    detector: Callable[[Array], list[Face]] | None = None,
    progress: Callable[..., Any] | None = None,
    maximum_pixels: int = pictures.MAXIMUM_PIXELS,
) -> Summary:
    """Crop the faces of all photos in a folder and its sub-folders.

    Crops keep the sub-folder and the stem of the photo's name. ``out`` also gets report.tsv, with a row per face,
    and settings.json. Photos that an earlier run finished are skipped unless they or their crops have changed.

    Args:
        photos: folder.
        out: folder for the crops; created if missing.
        settings: Settings, or None for the defaults.
        detector: function of a uint8 (H, W, 3) photo that returns a list of Face; ``detection.Detector`` if None.
        progress: function (total, initial) -> context manager of an object with ``update(n)``, such as tqdm.
        maximum_pixels: larger photos are skipped.

    Returns:
        Summary.

    Raises:
        FileNotFoundError: the folder does not exist or has no images.
        NotADirectoryError: ``photos`` or ``out`` is a file.
        ValueError: ``out`` is ``photos``, or has crops of another folder or other settings, or files of other origin.
    """
    photos, out, settings = Path(photos), Path(out), settings or Settings()
    paths = _list_photos(photos, out)
    # With the folder of the photos: photos of two folders can have the same names.
    record = {"photos": str(photos.resolve()), **asdict(settings)}
    results = ResumableFolder(out, "crops", record, journal.COLUMNS)
    results.open()
    old = journal.read(results.report)
    names = [path.relative_to(photos).as_posix() for path in paths]
    # Photos that are gone keep their crops, and so their names.
    stems = output_stems(sorted({*names, *old}))
    finished = {name: rows for name, rows in old.items() if _is_finished(photos, out, name, rows, stems, settings)}
    for name in old.keys() - finished.keys():
        for row in old[name]:
            if row.crop:
                (out / row.crop).unlink(missing_ok=True)
    rows = [row for name in finished for row in finished[name]]
    results.write_report(journal.table(rows))
    if detector is None:
        # The rules check the confidence later, so that the report includes it.
        detector = Detector(settings.longest_sides, minimum_confidence=0.8)
    waiting = [name for name in names if name not in finished]
    progress = progress or partial(tqdm, disable=True)
    with progress(total=len(names), initial=len(names) - len(waiting)) as bar:
        for name in waiting:
            new = _align_photo(photos / name, name, out, stems[name], settings, detector, maximum_pixels)
            results.append(journal.table(new))
            rows += new
            bar.update(1)
    results.write_report(journal.table(rows))
    return Summary(
        photos=len(names),
        taken_over=len(names) - len(waiting),
        crops=sum(row.status == USED for row in rows),
        left_out=sorted((row.photo, row.reason) for row in rows if row.status != USED),
    )


def output_stems(names):
    """Paths of the crops, without ending, for photos' paths (POSIX, with ending): the same stem if it is free.

    Photos of one folder whose names differ only in the ending (or in case) keep their endings: a.jpg and a.png give
    a.jpg and a.png; so do photos whose stem could be that of another photo's second face.
    """
    stems = {name: str(PurePosixPath(name).with_suffix("")) for name in names}
    count = Counter(stem.casefold() for stem in stems.values())
    result, taken = {}, set()
    for name, stem in sorted(stems.items()):
        face = re.fullmatch(r"(.+)-face\d+", stem.casefold())
        if count[stem.casefold()] > 1 or (face and face[1] in count):
            stem = name
        while stem.casefold() in taken or (stem == name and stem.casefold() in count):
            stem += "_"
        taken.add(stem.casefold())
        result[name] = stem
    return result


def _list_photos(photos, out):
    paths = pictures.list_pictures(photos)
    if out.exists():
        if not out.is_dir():
            raise NotADirectoryError(f"{out} is a file, not a folder for crops")
        if out.resolve() == photos.resolve():
            raise ValueError(f"the folder for the crops must differ from that of the photos, {photos}")
        paths = without_results(paths, photos, out)
    if not paths:
        raise FileNotFoundError(f"there are no pictures ({', '.join(pictures.READ_ENDINGS)}) in {photos}")
    return paths


def _is_finished(photos, out, name, rows, stems, settings):
    """Whether an earlier run's rows of a photo are still valid."""
    if any(row.status == UNREADABLE for row in rows):
        return False
    try:
        digest = _digest(photos / name)
    except FileNotFoundError:
        digest = None
    except OSError:
        return False
    for row in rows:
        if digest not in (None, row.sha256):
            return False
        if row.crop and (row.crop != _crop_name(stems[name], row.face, settings) or not _is_whole(out, row, settings)):
            return False
    return True


def _is_whole(out, row, settings):
    side = settings.size + 2 * settings.margin
    try:
        return pictures.read(out / row.crop).shape[:2] == (side, side)
    except (ValueError, OSError):
        return False


def _crop_name(stem, face, settings):
    number = f"-face{face.split('/')[0]}" if settings.all_faces else ""
    return f"{stem}{number}.{settings.format}"


def _align_photo(path, name, out, stem, settings, detector, maximum_pixels):
    """Rows of one photo; its crops are written."""
    try:
        data = pictures.read_bytes(path)
        # Not from the path again: the digest must be of the bytes that were aligned.
        image = as_rgb(pictures.decode(data, maximum_pixels))
    except (ValueError, OSError, MemoryError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return [Row(name, status=UNREADABLE, reason=f"cannot be read: {reason}")]
    digest = hashlib.sha256(data).hexdigest()
    faces = detector(image)
    if not faces:
        return [Row(name, reason="no face found", sha256=digest)]
    chosen = (
        faces if settings.all_faces else [acceptance.main_face(faces, image.shape, settings.rules.minimum_confidence)]
    )
    rows = []
    for number, face in enumerate(chosen, start=1):
        place = f"{number}/{len(chosen)}"
        fit = acceptance.measure(face, image.shape, settings.size, settings.margin)
        reason = acceptance.refusal(fit, settings.rules)
        crop_name = "" if reason else _crop_name(stem, place, settings)
        if crop_name:
            crop, _ = align(image, face.points, settings.size, settings.margin)
            try:
                _write_crop(out / crop_name, crop, settings)
            except OSError as error:
                if ends_a_run(error):
                    raise
                reason, crop_name = f"cannot be written: {error.strerror}", ""
        rows.append(
            Row(
                photo=name,
                crop=crop_name,
                status=NOT_USED if reason else USED,
                reason=reason,
                face=place,
                faces_found=str(len(faces)),
                confidence=f"{fit.confidence:.4f}",
                enlargement=f"{fit.enlargement:.4f}",
                rotation=f"{fit.rotation:.2f}",
                residual=f"{fit.residual:.4f}",
                inside=f"{fit.inside:.4f}",
                points=" ".join(f"{x:.2f},{y:.2f}" for x, y in face.points),
                sha256=digest,
            )
        )
    return rows


def _write_crop(path, crop, settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    if settings.format == "webp" and settings.quality < 100:
        buffer = BytesIO()
        Image.fromarray(crop).save(buffer, "WEBP", quality=settings.quality, method=4)
        data = buffer.getvalue()
    else:
        data = pictures.encode(crop, settings.format)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _digest(path):
    return hashlib.sha256(pictures.read_bytes(path)).hexdigest()
