"""Align images with parsing labels: NAME.jpg and NAME_label.png to canonical pairs NAME.png and NAME_label.png.

``trainers.datasets.parsing_folders`` is the command and describes the labels' styles.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from deblur_zoo.annotations import Array, StrPath
from deblur_zoo.face_classes import COMPONENTS, UNKNOWN, FaceClass
from deblur_zoo.faces import acceptance, journal
from deblur_zoo.faces.alignment import CROP_SIZE
from deblur_zoo.faces.detection import Detector, Face, as_rgb
from deblur_zoo.faces.journal import NOT_USED, UNREADABLE, USED, Row
from deblur_zoo.faces.warp import align
from deblur_zoo.files import pictures
from deblur_zoo.files.resumable_folder import ResumableFolder
from trainers.datasets import mesh_labels

ENDING = "_label"
STYLES = {"helen": (*range(11), UNKNOWN), "fasseg": tuple(range(6))}
MOUTH = (FaceClass.UPPER_LIP, FaceClass.INNER_MOUTH, FaceClass.LOWER_LIP)


def list_pairs(folder: StrPath) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Images with labels beside them: list of (image, labels) paths, and list of images without labels.

    Raises:
        FileNotFoundError, NotADirectoryError: the folder does not exist, or none of its images has labels.
        ValueError: two images share their labels.
    """
    found = pictures.list_pictures(folder)
    stems = {path.with_suffix("") for path in found}
    pairs, alone = {}, []
    for path in found:
        labels = path.with_name(f"{path.stem}{ENDING}.png")
        if path.stem.endswith(ENDING) and path.with_name(path.stem[: -len(ENDING)]) in stems:
            continue
        if labels in pairs:
            raise ValueError(f"{pairs[labels]} and {path} share the labels {labels.name}: move one of them away")
        if labels in found:
            pairs[labels] = path
        else:
            alone.append(path)
    if not pairs:
        raise FileNotFoundError(
            f"{folder} has no images with labels beside them: NAME.jpg or NAME.png and NAME{ENDING}.png"
        )
    return [(path, labels) for labels, path in pairs.items()], alone


def read_labels(path: StrPath, style: str) -> Array:
    """Read a label map: uint8 (H, W) of the style's values.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: not an image, or values that the style does not have.
    """
    labels = pictures.read(path, as_stored=True)
    if labels.ndim == 3:
        if not (labels[:, :, :1] == labels[:, :, :3]).all():
            raise ValueError(f"{path} is a colour image; labels must be a grey one whose values are the classes")
        labels = labels[:, :, 0]
    strange = sorted(set(np.unique(labels).tolist()) - set(STYLES[style]))
    if strange:
        raise ValueError(f"{path} contains the values {strange[:5]}, which labels of style {style} do not have")
    return labels


def points_from_labels(labels: Array) -> Array | None:
    """The five points of the canonical alignment from labels of the 11 classes.

    Eyes are the centres of their labels, mouth corners the ends of the mouth along the line of the eyes. The nose tip
    is the centre of the lower half of the nose's pixels.

    Args:
        labels: uint8 (H, W).

    Returns:
        float64 (5, 2) of (x, y), or None if an eye, the nose or the mouth is missing.
    """
    eyes, nose, mouth = [], _places(labels, [FaceClass.NOSE]), _places(labels, MOUTH)
    for eye in (FaceClass.LEFT_EYE, FaceClass.RIGHT_EYE):
        eyes.append(_places(labels, [eye]))
    if not all(len(part) for part in (*eyes, nose, mouth)):
        return None
    left, right = (eye.mean(axis=0) for eye in eyes)
    across = right - left
    down = np.array([-across[1], across[0]])
    lower = nose[nose @ down >= np.median(nose @ down)].mean(axis=0)
    # The labels end in a column of several pixels.
    along = mouth @ across / max(np.linalg.norm(across), 1e-9)
    corners = [mouth[along <= along.min() + 0.5].mean(axis=0), mouth[along >= along.max() - 0.5].mean(axis=0)]
    return np.stack([left, right, lower, *corners])


def warp_labels(labels: Array, matrix: Array, side: int) -> Array:
    """Labels in a crop, by nearest neighbour in the photo; 255 outside of it.

    Args:
        labels: uint8 (H, W).
        matrix: (2, 3), photo to crop, as from ``warp.align``.
        side: of the crop, in pixels.

    Returns:
        uint8 (side, side).
    """
    matrix = np.asarray(matrix, np.float64)
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    photo = (np.stack([x, y], axis=-1) - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    # Half a pixel rounds up, so that neither side of the photo is favoured.
    column, row = np.floor(photo + 0.5).astype(np.int64).transpose(2, 0, 1)
    height, width = labels.shape
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return np.where(inside, labels[row.clip(0, height - 1), column.clip(0, width - 1)], UNKNOWN).astype(np.uint8)


def align_pairs(
    photos: StrPath,
    out: StrPath,
    style: str = "helen",
    size: int = CROP_SIZE,
    margin: int = 0,
    mesh: Callable[[Array, int], tuple[Array, Array]] | None = None,
    rules: acceptance.Rules | None = None,
    detector: Callable[[Array], list[Face]] | None = None,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> list[Row]:
    """Align the pairs of a folder and its sub-folders.

    The five points are the detector's, of the face whose points are on the labels; if it finds none, and the labels
    have the 11 classes, they are computed from the labels.

    Args:
        photos: folder with NAME.jpg (or another image format) and NAME_label.png.
        out: folder for the pairs; it also gets report.tsv, with a row per image, and settings.json.
        style: "helen" or "fasseg".
        size, margin: of the crops, in pixels.
        mesh: function of crops (N, S, S, 3) and ``size`` that returns points and scores, as ``FaceMesh``; required by
            fasseg.
        rules: acceptance.Rules. None: the defaults with any confidence, since the labels confirm the face.
        detector: function of a uint8 (H, W, 3) photo that returns a list of Face; ``detection.Detector`` if None.
        progress: function (iterable) -> iterable, such as tqdm.

    Returns:
        list of journal.Row, one per image, sorted by name. Confidence is empty if the points come from the labels.

    Raises:
        FileNotFoundError, NotADirectoryError: the folder does not exist, or has no pairs.
        ValueError: ``out`` has pairs of other origin; an unknown style, or one that needs a mesh.
    """
    photos, out = Path(photos), Path(out)
    if style not in STYLES:
        raise ValueError(f"the style must be one of {', '.join(STYLES)}, got {style!r}")
    if style == "fasseg" and mesh is None:
        raise ValueError("style fasseg needs a face mesh to tell brows from hair and face from neck")
    rules = rules or acceptance.Rules(minimum_confidence=0)
    pairs, alone = list_pairs(photos)
    record = {"photos": str(photos.resolve()), "style": style, "size": size, "margin": margin, "rules": vars(rules)}
    if photos.resolve() in (out.resolve(), *out.resolve().parents):
        raise ValueError(f"the folder for the pairs must be outside that of the photos, {photos}")
    results = ResumableFolder(out, "pairs", record, journal.COLUMNS)
    results.open()
    old = journal.read(results.report)
    results.write_report(journal.table(row for found in old.values() for row in found))
    detector = detector or Detector((320, 1024), minimum_confidence=0.8)
    rows = [Row(path.relative_to(photos).as_posix(), reason="no labels beside it") for path in alone]
    for picture, labels in (progress or iter)(pairs):
        name = picture.relative_to(photos).as_posix()
        row = _row_that_holds(old.get(name), picture, labels, out, size + 2 * margin)
        if row is None:
            row = _align_pair(name, picture, labels, out, style, size, margin, mesh, rules, detector)
            results.append(journal.table([row]))
        rows.append(row)
    rows.sort(key=lambda row: row.photo)
    results.write_report(journal.table(rows))
    return rows


def _places(labels, classes):
    """(N, 2) of (x, y): the pixels of some classes."""
    row, column = np.nonzero(np.isin(labels, classes))
    return np.stack([column, row], axis=1).astype(np.float64)


def _row_that_holds(rows, picture, labels, out, side):
    """An earlier run's row of an image, if the files are unchanged and the pair is complete."""
    if not rows or len(rows) != 1 or rows[0].status == UNREADABLE or not rows[0].sha256:
        return None
    row = rows[0]
    try:
        if row.sha256 != _digest(picture.read_bytes(), labels.read_bytes()):
            return None
        if row.crop:
            crop = pictures.read(out / row.crop)
            pair = pictures.read(_label_path(out / row.crop))
            if crop.shape[:2] != (side, side) or pair.shape != (side, side):
                return None
    except (OSError, ValueError):
        return None
    return row


def _digest(*parts):
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _label_path(path):
    return path.with_name(f"{path.stem}{ENDING}.png")


def _align_pair(name, picture, labels_path, out, style, size, margin, mesh, rules, detector):
    """Write the pair of one image and return its row."""
    try:
        digest = _digest(picture.read_bytes(), labels_path.read_bytes())
        image, labels = as_rgb(pictures.read(picture)), read_labels(labels_path, style)
        if image.shape[:2] != labels.shape:
            raise ValueError(f"picture {image.shape[1]}x{image.shape[0]}, labels {labels.shape[1]}x{labels.shape[0]}")
    except (ValueError, OSError) as error:
        return Row(name, status=UNREADABLE, reason=f"cannot be read: {error}")
    face, found = _find_face(image, labels, style, detector)
    row = {"photo": name, "faces_found": str(found), "sha256": digest}
    if face is None:
        return Row(**row, reason="no face found: neither by the detector nor with all components in the labels")
    fit = acceptance.measure(face, image.shape, size, margin)
    row["points"] = " ".join(f"{x:.2f},{y:.2f}" for x, y in face.points)
    row["confidence"] = f"{fit.confidence:.4f}" if found else ""
    for key in ("residual", "enlargement", "inside"):
        row[key] = f"{getattr(fit, key):.4f}"
    row["rotation"] = f"{fit.rotation:.2f}"
    reason = acceptance.refusal(fit, rules)
    if reason:
        return Row(**row, status=NOT_USED, reason=reason)
    crop, matrix = align(image, face.points, size, margin)
    aligned = warp_labels(labels, matrix, size + 2 * margin)
    if style == "fasseg":
        points, scores = mesh(crop[None], size)
        reason = mesh_labels.refusal(points[0], scores[0], size, margin)
        if reason:
            return Row(**row, reason=reason)
        aligned = mesh_labels.from_six_classes(aligned, points[0])
    target = (out / name).with_suffix(".png")
    target.parent.mkdir(parents=True, exist_ok=True)
    # The labels first: an image alone would look like one without labels.
    pictures.write(_label_path(target), aligned)
    pictures.write(target, crop)
    return Row(**row, status=USED, crop=target.relative_to(out).as_posix())


def _find_face(image, labels, style, detector):
    """The labelled face: (Face or None, number of faces that the detector found on the labels)."""
    components = COMPONENTS if style == "helen" else mesh_labels.SIX_CLASS_COMPONENTS
    places = _places(labels, components)
    if not len(places):
        return None, 0
    low, high = places.min(axis=0), places.max(axis=0)
    faces = [face for face in detector(image) if (face.points.mean(axis=0) >= low).all()]
    faces = [face for face in faces if (face.points.mean(axis=0) <= high).all()]
    if faces:
        return max(faces, key=lambda face: face.area), len(faces)
    points = points_from_labels(labels) if style == "helen" else None
    return (None if points is None else Face(np.concatenate([low, high]), points, 1.0)), 0
