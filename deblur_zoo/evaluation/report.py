"""One report of an evaluation: a self-contained HTML page, and its tables as Markdown, CSV and JSON."""

import base64
import json
import platform
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import pandas as pd

import deblur_zoo
from deblur_zoo.evaluation import plots, reading
from deblur_zoo.evaluation import report_tables as tables
from deblur_zoo.evaluation.baselines.classical import described
from deblur_zoo.evaluation.contact_sheet import contact_sheet
from deblur_zoo.evaluation.methods import BLURRED_INPUT, SHARP_INPUT
from deblur_zoo.evaluation.page import render
from deblur_zoo.evaluation.runs import frame_of, kernels_of
from deblur_zoo.evaluation.speed import machine
from deblur_zoo.files.atomic_file import atomic_path

FORMAT_VERSION = 1
SHEET_FACES = 4


@dataclass(frozen=True)
class Illustration:
    """A plot or contact sheet: PNG bytes with a title."""

    name: str
    title: str
    png: bytes
    note: str = ""

    def uri(self):
        """The picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass
class Report:
    """Everything that a report shows.

    Attributes:
        title: its heading.
        about: sentences on data, protocols and versions.
        missing: sentences on what was not measured, and how to get it.
        tables: list of ``report_tables.Table``.
        pictures: list of ``Illustration``.
        command: the command line, for Markdown.
    """

    title: str
    about: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    tables: list = field(default_factory=list)
    pictures: list = field(default_factory=list)
    command: str = ""

    def html(self):
        """The page, with its pictures inside."""
        return render("report.html.jinja", report=self)

    def markdown(self):
        """Title, tables and notes, without pictures."""
        parts = [f"# {self.title}\n", "".join(f"- {line}\n" for line in self.about)]
        if self.missing:
            parts.append("## Not measured\n\n" + "".join(f"- {line}\n" for line in self.missing))
        parts += [f"## {table.title}\n\n{table.markdown()}\n{table.note}\n" for table in self.tables]
        if self.command:
            parts.append(f"## Command\n\n    {self.command}\n")
        return "\n".join(parts)

    def json(self):
        """The tables' numbers as JSON; missing ones are null."""
        content = {
            "format_version": FORMAT_VERSION,
            "title": self.title,
            "about": self.about,
            "missing": self.missing,
            "tables": {
                table.name: {
                    "title": table.title,
                    "note": table.note,
                    "rows": json.loads(table.numbers.to_json(orient="records", double_precision=15)),
                }
                for table in self.tables
            },
        }
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def csv(self):
        """Every number of the tables as CSV: columns table, row (its texts), measure, value."""
        parts = []
        for table in self.tables:
            numbers = table.numbers.select_dtypes("number")
            texts = table.numbers.drop(columns=numbers.columns).astype(str)
            rows = numbers.assign(row=texts.agg("; ".join, axis=1)).melt("row", var_name="measure").dropna()
            parts.append(rows.assign(table=table.name))
        return pd.concat(parts)[["table", "row", "measure", "value"]].to_csv(index=False)

    def write(self, folder):
        """Write report.html, report.md, report.json and tables/NAME.csv, each complete or not at all.

        Returns:
            the path of the page.
        """
        folder = Path(folder)
        (folder / "tables").mkdir(parents=True, exist_ok=True)
        files = {"report.md": self.markdown(), "report.json": self.json(), "report.html": self.html()}
        files |= {f"tables/{table.name}.csv": table.numbers.to_csv(index=False) for table in self.tables}
        for name, text in files.items():
            with atomic_path(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return folder / "report.html"

    def write_document(self, path):
        """Write the tables as one Markdown file, and their numbers as JSON and CSV beside it.

        Args:
            path: ends in .md.

        Returns:
            the path.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        for ending, text in ((".csv", self.csv()), (".json", self.json()), (".md", self.markdown())):
            with atomic_path(path.with_suffix(ending)) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return path


def make_report(results, missing=(), gallery="", pairs=None, milliseconds=None, sheet_folder=None, command="", more=()):
    """A report of results.

    Args:
        results: list of ``runs.Result``.
        missing: sentences on what was not measured.
        gallery: sentence on the gallery.
        pairs: frame of verification pairs, or None.
        milliseconds: as for ``report_tables.cost``.
        sheet_folder: where contact sheets are written too; None: no contact sheets.
        command: the command line.
        more: tables of other measurements.

    Returns:
        Report.
    """
    frame = frame_of(results)
    methods = list({result.method.name: result.method for result in results}.values())
    test_sets = {result.test_set.name: result.test_set for result in results}
    made = [
        reading.best_for(frame, methods, milliseconds or {}),
        reading.weak_points(frame),
        tables.summary(frame),
        *tables.by_group(frame, "psnr"),
        *tables.by_group(frame, "ssim"),
        *tables.by_group(frame, "gain"),
        tables.by_class(frame),
        tables.parsing(frame),
        tables.recognition(frame, gallery),
        tables.landmarks(frame),
        tables.verification(pairs) if pairs is not None else None,
        tables.cost(methods, milliseconds or {}),
        reading.published(frame),
        *more,
        # The longest.
        tables.differences(frame),
    ]
    about = [f"Protocol {name}: {test_set.meaning}. {_data(test_set)}" for name, test_set in test_sets.items()]
    about += [f"{method.name}: {described(method.of['constants'])}" for method in methods if "constants" in method.of]
    if milliseconds:
        about.append(f"Times: {machine()}, float32")
    about.append("Versions: " + ", ".join(f"{name} {value}" for name, value in versions().items()))
    drawn = [Illustration(*plot) for plot in plots.all_plots(frame)]
    if sheet_folder is not None:
        Path(sheet_folder).mkdir(parents=True, exist_ok=True)
        drawn += [_sheet(result, frame, sheet_folder) for result in results if _has_sheet(result)]
    return Report("Evaluation", about, list(missing), [table for table in made if table], drawn, command)


def versions():
    """Versions of the packages that computed the numbers."""
    found = {
        "deblur_zoo": deblur_zoo.__version__,
        "python": platform.python_version(),
        "keras": keras.__version__,
        "numpy": np.__version__,
        "backend": keras.backend.backend(),
    }
    if found["backend"] in ("tensorflow", "jax"):
        found[found["backend"]] = __import__(found["backend"]).__version__
    return found


def _data(test_set):
    """The pictures in words."""
    data = test_set.data
    if "faces" not in data:
        return ", ".join(f"{value} {name}" for name, value in data.items())
    return f"{data['faces']} faces of {data['folder']}, fingerprint {data['fingerprint'][:16]}"


def _has_sheet(result):
    return result.method.name not in (BLURRED_INPUT, SHARP_INPUT)


def _sheet(result, frame, folder):
    """The worst, the median and the best pictures by gain."""
    rows = frame[(frame["protocol"] == result.test_set.name) & (frame["method"] == result.method.name)]
    order = rows.sort_values(["gain", "pair"])["pair"].tolist()
    count = min(SHEET_FACES, len(order))
    middle = (len(order) - count) // 2
    parts = {"worst": order[:count], "median": order[middle : middle + count], "best": order[-count:]}
    wanted = {pair for pairs in parts.values() for pair in pairs}
    shown = {}
    for batch in result.test_set.protocol.batches(result.test_set.faces):
        names = result.test_set.pair_names(batch)
        if wanted.isdisjoint(names):
            continue
        restored = result.method.restore(batch, names, kernels_of(result.test_set.protocol, batch))
        for index, name in enumerate(names):
            if name in wanted:
                shown[name] = batch.blurred[index], restored[index], batch.sharp[index]
    gains = rows.set_index("pair")["gain"]
    chosen = [(part, pair) for part, pairs in parts.items() for pair in pairs]
    groups = rows.set_index("pair")["group"].str.replace("_", " ")
    captions = [f"{gains[pair]:+.1f} dB, {groups[pair]}" for _, pair in chosen]
    blurred, restored, sharp = zip(*(shown[pair] for _, pair in chosen), strict=True)
    safe = "".join(letter if letter.isalnum() else "_" for letter in f"{result.test_set.name}_{result.method.name}")
    path = Path(folder) / f"{safe}.png"
    contact_sheet(blurred, restored, sharp, path, scale=1, captions=captions, columns=count)
    title = f"{result.method.name}, {result.test_set.name}: worst, median and best by gain"
    note = f"From top to bottom: the {count} worst, the median and the best pictures; each blurred, restored and sharp."
    return Illustration(f"sheet_{safe}", title, path.read_bytes(), note)
