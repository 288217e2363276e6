"""Labels of faces from a parser, a face mesh or both ("pseudo ground truth", Shen et al. 2020, section 4.1).

Labels are uint8: the eleven of ``FaceClass``, or 255 for unknown. The rule for each pixel:

- Parser only: its most probable class if that has at least the threshold's probability, else unknown.
- Mesh only: inside a component's polygon its class, else inside the face's oval skin, else unknown. A face whose mesh
  is rejected (low score, or points beside the face) gets no labels.
- Both: inside a polygon its class, unless the parser sees hair or background there (something covers the face): then
  unknown. Outside the polygons the parser's skin, hair and background; unknown if it sees a component there. A face
  whose mesh is rejected gets the parser's labels.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deblur_zoo.annotations import Array, StrPath
from deblur_zoo.face_classes import COMPONENTS, UNKNOWN, FaceClass
from deblur_zoo.faces.detection import as_rgb
from deblur_zoo.files import pictures
from deblur_zoo.files.resumable_folder import ResumableFolder
from deblur_zoo.zoo import load
from trainers.datasets.mesh_labels import mesh_labels, refusal

COLUMNS = ("face", "labels", "reason")
NONE = "none"
# Of float (N, S, S, 3) in [0, 1]: probabilities (N, S, S, 11).
ParserFunction = Callable[[Array], Array]
# Of crops and their size: points and scores, such as ``FaceMesh``.
MeshFunction = Callable[[Array, int], tuple[Array, Array]]


def combine(probabilities: Array, points: Array | None, threshold: float) -> Array:
    """Labels of one face, by the rule of this module's docstring.

    Args:
        probabilities: float (H, W, 11) of the parser.
        points: (468, 2) of an accepted mesh, in pixels, or None.
        threshold: minimum probability for using the parser's class.

    Returns:
        uint8 (H, W), 255 unknown.
    """
    shape = probabilities.shape[:2]
    seen = np.where(probabilities.max(axis=-1) >= threshold, probabilities.argmax(axis=-1), UNKNOWN).astype(np.uint8)
    if points is None:
        return seen
    drawn = mesh_labels(points, shape)
    in_polygon = np.isin(drawn, COMPONENTS)
    covered = in_polygon & np.isin(seen, (FaceClass.HAIR, FaceClass.BACKGROUND))
    result = np.where(in_polygon, drawn, seen)
    result[covered | (~in_polygon & np.isin(seen, COMPONENTS))] = UNKNOWN
    return result


def label_batch(
    crops: Array, parser: ParserFunction | None, mesh: MeshFunction | None, threshold: float, size: int
) -> list[tuple[Array | None, str, str]]:
    """Labels of some faces.

    Args:
        crops: uint8 (N, S, S, 3), canonical crops of ``size`` with an equal margin on every side.
        parser, mesh: at least one of them.
        threshold: as in ``combine``.

    Returns:
        list of (uint8 (S, S) labels or None, their origin, why the mesh was rejected).
    """
    margin = (crops.shape[1] - size) // 2
    probabilities = [None] * len(crops)
    if parser is not None:
        probabilities = np.asarray(parser(crops.astype(np.float32) / 255))
    points, scores = mesh(crops, size) if mesh is not None else ([None] * len(crops), [0.0] * len(crops))
    results = []
    for probability, mesh_points, score in zip(probabilities, points, scores, strict=True):
        reason = refusal(mesh_points, score, size, margin) if mesh is not None else ""
        trusted = mesh_points if mesh is not None and not reason else None
        if probability is not None:
            origin = "parser" if trusted is None else "parser and mesh"
            results.append((combine(probability, trusted, threshold), origin, reason))
        elif trusted is not None:
            results.append((mesh_labels(trusted, crops.shape[1:3]), "mesh", ""))
        else:
            results.append((None, NONE, reason))
    return results


def label_folders(
    folders: Sequence[StrPath],
    out: StrPath,
    parser: ParserFunction | None,
    mesh: MeshFunction | None,
    settings: Mapping[str, Any],
    threshold: float = 0.7,
    size: int = 128,
    batch_size: int = 16,
    progress: Any = None,
) -> dict[str, tuple[str, str]]:
    """Label the faces of some folders, skipping faces that an earlier run has labelled.

    Args:
        folders: folders of canonical crops.
        out: folder for the labels, one sub-folder for each.
        parser, mesh, threshold, size: as in ``label_batch``.
        settings: dict of all settings that affect the labels; must match those of labels already in ``out``.
        batch_size: faces per forward pass of the parser.
        progress: object with ``update(n)``, such as a tqdm bar, or None.

    Returns:
        dict from face (FOLDER/NAME) to (origin of the labels, reason).

    Raises:
        FileNotFoundError: a folder is missing or has no images.
        ValueError: labels of two folders or faces would have the same name, or ``out`` has labels made differently.
    """
    out = Path(out)
    waiting, targets = list_faces(folders)
    results = ResumableFolder(out, "labels", settings, COLUMNS)
    results.open()
    done = {
        face: (origin, reason)
        for face, origin, reason in results.read_report()
        if face in targets and (origin == NONE or _is_whole(out / targets[face]))
    }
    results.write_report([(face, *row) for face, row in done.items()])
    if progress is not None:
        progress.total = len(waiting)
        progress.update(len(done))
    waiting = [(face, path) for face, path in waiting if face not in done]
    for start in range(0, len(waiting), batch_size):
        rows, crops = {}, {}
        for face, path in waiting[start : start + batch_size]:
            try:
                crop = _as_crop(pictures.read(path), size)
            except (ValueError, OSError) as error:
                rows[face] = NONE, f"cannot be used: {error}"
            else:
                crops.setdefault(crop.shape, []).append((face, crop))
        for group in crops.values():
            labelled = label_batch(np.stack([crop for _, crop in group]), parser, mesh, threshold, size)
            for (face, _), (labels, origin, reason) in zip(group, labelled, strict=True):
                if labels is not None:
                    (out / targets[face]).parent.mkdir(parents=True, exist_ok=True)
                    pictures.write(out / targets[face], labels)
                rows[face] = origin, reason
        results.append([(face, *row) for face, row in rows.items()])
        done |= rows
        if progress is not None:
            progress.update(len(rows))
    return done


def list_faces(folders: Sequence[StrPath]) -> tuple[list[tuple[str, Path]], dict[str, Path]]:
    """Faces of the folders: list of (FOLDER/NAME, path), and dict from FOLDER/NAME to the labels' path inside OUT.

    Label maps beside the faces (NAME_label.png) are skipped.

    Raises:
        FileNotFoundError, NotADirectoryError: a folder is missing or has no images.
        ValueError: labels of two faces would have the same name.
    """
    faces, targets, taken = [], {}, {}
    names = [Path(folder).resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise ValueError(f"the folders of faces must have different names, which their labels get as well: {names}")
    for folder, name in zip(folders, names, strict=True):
        paths = pictures.list_pictures(folder)
        stems = {path.with_suffix("") for path in paths}
        paths = [
            path
            for path in paths
            if not (path.stem.endswith("_label") and path.with_name(path.stem[: -len("_label")]) in stems)
        ]
        if not paths:
            raise FileNotFoundError(f"there are no images in {folder}")
        for path in paths:
            face = f"{name}/{path.relative_to(folder).as_posix()}"
            target = Path(face).with_suffix(".png")
            if target in taken:
                raise ValueError(f"{face} and {taken[target]} would both have the labels {target}: rename one")
            taken[target] = face
            targets[face] = target
            faces.append((face, path))
    return faces, targets


def _is_whole(path):
    try:
        return pictures.read(path).ndim == 2
    except (ValueError, OSError):
        return False


def _as_crop(picture, size):
    crop = as_rgb(picture)
    height, width = crop.shape[:2]
    if height != width or height < size or (height - size) % 2:
        raise ValueError(
            f"{width}x{height} pixels are not a canonical crop of {size} with an equal margin on every side"
        )
    return crop


def load_parser(source: StrPath) -> tuple[ParserFunction, str]:
    """The function of a preset of kind parser, and a digest of its weights.

    Args:
        source: name, folder or URI.

    Raises:
        ValueError, OSError: as ``zoo.load``.
    """
    # After the command has checked its flags.
    from keras import ops

    model = load(source, kind="parser")
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())

    def probabilities(crops):
        return ops.convert_to_numpy(model(crops, training=False))

    return probabilities, digest.hexdigest()
