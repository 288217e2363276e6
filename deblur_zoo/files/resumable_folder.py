"""A folder of results that is completed when an interrupted command runs again."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deblur_zoo.annotations import StrPath
from deblur_zoo.files.atomic_file import atomic_path

REPORT, SETTINGS = "report.tsv", "settings.json"


class ResumableFolder:
    """A folder with settings.json, the settings of its results, and report.tsv, a row for each result.

    Results made with different settings are never mixed. Files are written under a ``.partial-`` name and renamed, so
    unfinished files of an interrupted run are not mistaken for results.
    """

    def __init__(self, path: StrPath, contents: str, settings: Mapping[str, Any], columns: Sequence[str]) -> None:
        """
        Args:
            path: of the folder, which need not exist.
            contents: what the results are, for messages: "crops".
            settings: everything that affects the results; JSON can represent it.
            columns: of the report.
        """
        self.path = Path(path)
        self.report = self.path / REPORT
        self._contents = contents
        self._settings = settings
        self._columns = list(columns)

    def open(self) -> None:
        """Create the folder, or continue with one that has the same settings.

        Raises:
            NotADirectoryError: a file is in its place.
            ValueError: it has results of other settings, or files that are not results.
        """
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(f"{self.path} is a file, not a folder for {self._contents}")
        stored = self.path / SETTINGS
        if stored.exists():
            check_settings(stored.read_text(encoding="utf-8"), self._settings, self.path, self._contents)
        elif any(path.is_file() and not path.name.startswith(".") for path in self.path.rglob("*")):
            raise ValueError(f"{self.path} has files that this command did not write: choose an empty or new folder")
        else:
            self.path.mkdir(parents=True, exist_ok=True)
            with atomic_path(stored) as temporary:
                temporary.write_text(settings_text(self._settings), encoding="utf-8")
        for unfinished in self.path.rglob(".partial-*"):
            unfinished.unlink()

    def read_report(self) -> list[list[str]]:
        """The report's rows, without a truncated last one; see ``read_report``."""
        return read_report(self.report, self._columns)

    def write_report(self, rows: Iterable[Sequence[object]]) -> None:
        """Replace the report atomically."""
        with atomic_path(self.report) as temporary:
            temporary.write_bytes(report_bytes([self._columns, *rows]))

    def append(self, rows: Iterable[Sequence[object]]) -> None:
        """Add rows to a report that ``write_report`` has begun."""
        with open(self.report, "ab") as file:
            file.write(report_bytes(rows))


def settings_text(settings: Mapping[str, Any]) -> str:
    """The contents of settings.json."""
    return json.dumps(settings, indent=2) + "\n"


def check_settings(text: str, settings: Mapping[str, Any], place: object, contents: str) -> None:
    """Compare settings with the text of a settings.json.

    Raises:
        ValueError: they differ, or the text is damaged.
    """
    wanted = json.loads(settings_text(settings))
    try:
        stored = dict(json.loads(text))
    except (ValueError, TypeError):
        raise ValueError(f"the {SETTINGS} in {place} is damaged: choose another folder") from None
    differing = sorted(key for key in wanted.keys() | stored.keys() if stored.get(key) != wanted.get(key))
    if differing:
        raise ValueError(
            f"{place} has {contents} made with other settings ({', '.join(differing)}; see its {SETTINGS}): use the "
            "same settings or another folder"
        )


def read_report(path: StrPath, columns: Sequence[str]) -> list[list[str]]:
    """The rows of a report; none if it does not exist. A truncated last row is left out.

    Raises:
        ValueError: the file has other columns.
    """
    path = Path(path)
    if not path.exists():
        return []
    # File names need not be valid UTF-8.
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    complete = text[: text.rfind("\n") + 1]
    header, *rows = list(csv.reader(io.StringIO(complete, newline=""), delimiter="\t")) or [list(columns)]
    if header != list(columns):
        raise ValueError(f"{path} is not a report of this command: move it away or choose another folder")
    return [row for row in rows if len(row) == len(columns)]


def report_bytes(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as a report stores them."""
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
