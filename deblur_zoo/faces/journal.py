"""The report of an alignment run: one row a face, appended as the run goes, so that a killed run can go on."""

import csv
import io
from dataclasses import asdict, dataclass, fields

from deblur_zoo.files.atomic_file import atomic_path

USED, NOT_USED, UNREADABLE = "used", "not used", "unreadable"


@dataclass(frozen=True)
class Row:
    """One face of one photo, or one photo without a face.

    Attributes:
        photo: path inside the photos' folder.
        crop: path inside the crops' folder, or empty.
        status: "used", "not used" or "unreadable".
        reason: why it is not used, "kind: details"; empty otherwise.
        face: "i/n", the i-th of the photo's n rows.
        faces_found: how many faces the detector found in the photo.
        confidence, enlargement, rotation, residual, inside: as in ``acceptance.Fit``; empty without a face.
        points: "x,y x,y ..." in pixels of the photo.
        sha256: of the photo's file; empty if it cannot be read.
    """

    photo: str
    crop: str = ""
    status: str = NOT_USED
    reason: str = ""
    face: str = "1/1"
    faces_found: str = "0"
    confidence: str = ""
    enlargement: str = ""
    rotation: str = ""
    residual: str = ""
    inside: str = ""
    points: str = ""
    sha256: str = ""


COLUMNS = [field.name for field in fields(Row)]


def read(path):
    """Complete photos of a report: dict from photo to its list of rows.

    A last line cut short, and a photo of whose rows some are missing, are left out.

    Raises:
        ValueError: the file is no such report.
    """
    if not path.exists():
        return {}
    photos = {}
    # File names need not be valid UTF-8.
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        lines = csv.reader(file, delimiter="\t")
        if next(lines, COLUMNS) != COLUMNS:
            raise ValueError(f"{path} is not a report of this command: move it away or choose another folder")
        for values in lines:
            if len(values) == len(COLUMNS):
                row = Row(*values)
                photos.setdefault(row.photo, []).append(row)
    return {photo: rows for photo, rows in photos.items() if _complete(rows)}


def write(path, rows):
    """Write a whole report, sorted by photo; complete or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(_encode([COLUMNS]) + encode(sorted(rows, key=_place)))


def encode(rows):
    """Rows as they are appended to a report, bytes."""
    return _encode([list(asdict(row).values()) for row in rows])


def _place(row):
    return row.photo, int(row.face.split("/")[0])


def _encode(lines):
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(lines)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _complete(rows):
    return sorted(row.face for row in rows) == sorted(f"{i + 1}/{len(rows)}" for i in range(len(rows)))
