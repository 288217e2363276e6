"""The report of an alignment run: a row per face."""

from dataclasses import astuple, dataclass, fields

from deblur_zoo.files.resumable_folder import read_report

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

    Photos with missing rows are left out.

    Raises:
        ValueError: the file has other columns.
    """
    photos = {}
    for values in read_report(path, COLUMNS):
        row = Row(*values)
        photos.setdefault(row.photo, []).append(row)
    return {photo: rows for photo, rows in photos.items() if _complete(rows)}


def table(rows):
    """The values of rows, sorted by photo."""
    return [astuple(row) for row in sorted(rows, key=lambda row: (row.photo, int(row.face.split("/")[0])))]


def _complete(rows):
    return sorted(row.face for row in rows) == sorted(f"{i + 1}/{len(rows)}" for i in range(len(rows)))
