"""Tables of a report: pandas frames of numbers, with the formats in which they are shown."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from deblur_zoo.evaluation.measures import PARSED
from deblur_zoo.evaluation.methods import BLURRED_INPUT, SHARP_INPUT
from deblur_zoo.evaluation.statistics import interval, paired_difference
from deblur_zoo.metrics.landmarks import THRESHOLD
from deblur_zoo.metrics.parsing import COMPONENTS, MERGED, UMSN_CLASSES
from deblur_zoo.metrics.recognition import fold_accuracies

TOP = (1, 3, 5)
SSIM = "SSIM (windows inside, mean over RGB)"
SSIM_VOLUME = "SSIM (MATLAB, RGB as a volume)"
# Column of the rows to its title and the format of its mean.
MEASURES = {
    "psnr": ("PSNR, dB", ".2f"),
    "ssim": (SSIM, ".3f"),
    "ssim_volume": (SSIM_VOLUME, ".3f"),
    "gain": ("gain, dB", "+.2f"),
    "made_worse": ("made worse, share", ".3f"),
    "colour_shift": ("colour shift, %", ".2f"),
    "identity_cosine": ("identity cosine", ".3f"),
    "identity_distance": ("identity distance", ".3f"),
    "feature_distance": ("d_VGG", ".4g"),
}


def percent(share):
    """A share in [0, 1] for a table, with more digits if it is small."""
    return f"{100 * share:.{1 if share < 0.1 else 0}f} %"


@dataclass
class Table:
    """A table.

    Attributes:
        name: for files: letters, digits and underscores.
        title, note: shown above and below.
        numbers: for CSV and JSON.
        shown: strings, for Markdown and HTML; None: ``numbers`` as they are.
    """

    name: str
    title: str
    numbers: pd.DataFrame
    shown: pd.DataFrame | None = None
    note: str = ""

    def cells(self):
        """The table as it is shown, a frame of strings."""
        frame = self.numbers if self.shown is None else self.shown
        return frame.map(lambda cell: "" if pd.isna(cell) else f"{cell:.4g}" if isinstance(cell, float) else str(cell))

    def markdown(self):
        """The table in Markdown."""
        cells = self.cells()
        head, *rows = (
            f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |\n"
            for line in [list(cells.columns), *cells.to_numpy().tolist()]
        )
        return "".join([head, "|---" * len(cells.columns) + "|\n", *rows])


@dataclass
class Mean:
    """A mean with its interval, deviation and worst value, as one cell and as columns of numbers."""

    values: pd.Series
    faces: pd.Series
    form: str
    worst: str = "min"
    found: object = field(init=False)

    def __post_init__(self):
        self.found = interval(self.values, self.faces)

    def numbers(self, prefix):
        values = self.values.dropna()
        of_values = {"std": values.std(ddof=0), "worst": values.agg(self.worst) if len(values) else np.nan}
        return {
            f"{prefix} {name}".strip(): value
            for name, value in {**vars(self.found), **of_values, "count": len(values)}.items()
        }

    def shown(self):
        return "" if np.isnan(self.found.mean) else self.found.shown(self.form)

    def spread(self):
        """Mean, deviation and worst."""
        form = self.form.lstrip("+")
        values = self.values.dropna()
        return f"{values.mean():{self.form}} ± {values.std(ddof=0):{form}} ({values.agg(self.worst):{self.form}})"


def _worst(column):
    return "max" if column in ("colour_shift", "identity_distance", "feature_distance", "made_worse") else "min"


def groups_of(frame):
    """(protocol, method, rows) in the order in which they were measured."""
    for protocol in frame["protocol"].unique():
        for method in frame["method"].unique():
            rows = frame[(frame["protocol"] == protocol) & (frame["method"] == method)]
            if len(rows):
                yield protocol, method, rows


def _table(name, title, rows, note=""):
    numbers, shown = (pd.DataFrame([row[part] for row in rows]) for part in (0, 1))
    return Table(name, title, numbers, shown, note) if rows else None


def summary(frame):
    """Every mean over all pictures, with intervals, by protocol and method."""
    rows = []
    for protocol, method, part in groups_of(frame):
        if method == SHARP_INPUT:
            continue
        numbers = {"protocol": protocol, "method": method, "pictures": len(part)}
        shown = dict(numbers)
        for column, (title, form) in MEASURES.items():
            if column not in part:
                continue
            # A sharp face can gain nothing.
            if column in ("gain", "made_worse") and (method == BLURRED_INPUT or protocol == "sharp_in"):
                continue
            mean = Mean(part[column], part["face"], form, _worst(column))
            numbers |= mean.numbers(column)
            shown[title] = mean.shown()
        rows.append((numbers, shown))
    return _table(
        "summary", "All pictures", rows,
        "Mean [95 % interval of a bootstrap over faces: BCa, 9,999 resamples, seed 0]. Pictures have 8 bits. "
        f"PSNR is on RGB in [0, 1], at most 60 dB an image. {SSIM}: Gaussian window of 11x11 taps, sigma 1.5, "
        f"population covariance. {SSIM_VOLUME}: the same with 11x11x11 taps, borders repeated, as MATLAB's ssim "
        "computes it for an RGB array and most papers print it. Made worse: the share of pictures whose PSNR "
        "decreased.",
    )  # fmt: skip


def by_group(frame, column):
    """One measure by row of the protocol, such as the kernel size: mean, deviation, worst."""
    title, form = MEASURES[column]
    tables = []
    for protocol in frame["protocol"].unique():
        of_protocol = frame[frame["protocol"] == protocol]
        names = list(of_protocol["group"].unique())
        if len(names) < 2:
            continue
        rows = []
        for _, method, part in groups_of(of_protocol):
            if method == SHARP_INPUT or (method == BLURRED_INPUT and column == "gain"):
                continue
            shown = {"method": method}
            for group in [*names, "all"]:
                chosen = part if group == "all" else part[part["group"] == group]
                mean = Mean(chosen[column], chosen["face"], form, _worst(column))
                shown[group] = mean.spread()
                rows.append(({"method": method, "group": group, **mean.numbers("")}, shown))
        table = Table(
            f"{column}_by_group_{protocol}", f"{title}, by row of the protocol {protocol}",
            pd.DataFrame([numbers for numbers, _ in rows]),
            pd.DataFrame({shown["method"]: shown for _, shown in rows}.values()).rename(
                columns=lambda name: name.replace("_", " ")),
            "Mean ± standard deviation (worst picture). The CSV file also has intervals.",
        )  # fmt: skip
        tables.append(table)
    return tables


def differences(frame, columns=("psnr", "ssim", "identity_cosine")):
    """Paired differences between all methods."""
    rows = []
    for protocol in frame["protocol"].unique():
        of_protocol = frame[frame["protocol"] == protocol].set_index(["pair", "face"])
        names = [name for name in of_protocol["method"].unique() if name not in (BLURRED_INPUT, SHARP_INPUT)]
        for position, first in enumerate(names):
            for second in names[position + 1 :]:
                numbers = {"protocol": protocol, "first": first, "second": second}
                shown = dict(numbers)
                for column in columns:
                    if column not in of_protocol or of_protocol[column].isna().all():
                        continue
                    one, two = (of_protocol.loc[of_protocol["method"] == name, column] for name in (first, second))
                    found, share = paired_difference(one, two)
                    numbers |= {f"{column} {name}": value for name, value in vars(found).items()}
                    numbers[f"{column} first higher"] = share
                    form = "+.3f" if column == "psnr" else "+.4f"
                    sure = " *" if found.low > 0 or found.high < 0 else ""
                    shown[MEASURES[column][0]] = f"{found.shown(form)}{sure}, {100 * share:.0f} %"
                rows.append((numbers, shown))
    return _table(
        "differences", "Differences between methods on the same pictures", rows,
        "First minus second [95 % interval over faces; * excludes 0], and the share of pictures on which the first is "
        "higher. Intervals are not corrected for the number of comparisons.",
    )  # fmt: skip


def by_class(frame):
    """PSNR and SSIM by semantic class (UMSN, table I)."""
    if f"psnr {next(iter(UMSN_CLASSES))}" not in frame:
        return None
    rows = []
    for protocol, method, part in groups_of(frame):
        if method == SHARP_INPUT or part[f"psnr {next(iter(UMSN_CLASSES))}"].isna().all():
            continue
        numbers = {"protocol": protocol, "method": method}
        shown = dict(numbers)
        for measure, form in (("psnr", ".2f"), ("ssim", ".3f")):
            for name in UMSN_CLASSES:
                mean = Mean(part[f"{measure} {name}"], part["face"], form)
                numbers |= mean.numbers(f"{measure} {name}")
                shown[f"{measure.upper()} {name}"] = mean.shown()
        rows.append((numbers, shown))
    return _table(
        "by_class", "PSNR and SSIM by semantic class (UMSN, table I)", rows,
        "Class 1: background, 2: skin, 3: brows, eyes, nose and mouth, 4: hair. PSNR of the class's pixels; SSIM is "
        "the mean over windows centred in the class.",
    )  # fmt: skip


def parsing(frame):
    """F-scores by component of a parser on restored faces (Shen, table 3; UMSN, table II)."""
    if "hits face" not in frame:
        return None
    rows = []
    for protocol, method, part in groups_of(frame):
        sums = part.filter(regex="^(hits|size) ").sum(min_count=1)
        if sums.isna().all():
            continue
        scores = {name: 2 * sums[f"hits {name}"] / sums[f"size {name}"] if sums[f"size {name}"] else np.nan for name in
                  PARSED}  # fmt: skip
        scores["average"] = float(np.nanmean([scores[name] for name in COMPONENTS]))
        numbers = {"protocol": protocol, "method": method, **scores}
        scores = {name: "" if np.isnan(value) else f"{value:.3f}" for name, value in scores.items()}
        shown = {"protocol": protocol, "method": method}
        shown |= {name.replace("_", " "): score for name, score in scores.items()}
        rows.append((numbers, shown))
    return _table(
        "parsing", "Parsing of restored faces, F-score by component (Shen, table 3; UMSN, table II)", rows,
        f"Over all pixels of all pictures. {', '.join(MERGED)}: left and right, or the lips, as one; class-1 to "
        "class-4: UMSN's. The sharp input is the bound that the parser itself sets.",
    )  # fmt: skip


def recognition(frame, gallery=""):
    """Detection rate and top-1/3/5 recognition (Shen, table 11; UMSN, table V)."""
    if "detected" not in frame and "rank" not in frame:
        return None
    rows = []
    for protocol, method, part in groups_of(frame):
        numbers = {"protocol": protocol, "method": method}
        shown = dict(numbers)
        shares = {"detected": part["detected"]} if "detected" in part else {}
        if "rank" in part and part["rank"].notna().any():
            known = part["rank"]
            shares |= {f"top-{k}": (known <= k).astype(float).where(known.notna()) for k in TOP}
        if not shares:
            continue
        for name, values in shares.items():
            mean = Mean(100 * values, part["face"], ".1f")
            numbers |= mean.numbers(name)
            shown[f"{name}, %"] = mean.shown()
        rows.append((numbers, shown))
    notes = []
    if "detected" in frame:
        notes.append(
            "Detected: of the faces that the detector finds in the sharp picture, those found in the same place (at "
            "least half of the two boxes in common)."
        )
    if "rank" in frame:
        notes += ["Top-k: the face's person is among the k most similar of the gallery.", gallery]
    return _table("recognition", "Detection and recognition (Shen, table 11; UMSN, table V)", rows, " ".join(notes))


def landmarks(frame):
    """Landmark error with AUC and failure rate (Chrysos, tables 5 to 7)."""
    if "landmark_error" not in frame:
        return None
    rows = []
    for protocol, method, part in groups_of(frame):
        errors = part["landmark_error"].dropna()
        faces = part.loc[errors.index, "face"]
        area = Mean(1 - errors.clip(upper=THRESHOLD) / THRESHOLD, faces, ".3f")
        failures = Mean(100.0 * (errors > THRESHOLD), faces, ".1f", "max")
        names = {"protocol": protocol, "method": method}
        numbers = {"median error": errors.median(), "mean error": errors.mean(), **area.numbers("AUC"),
                   **failures.numbers("failures")}  # fmt: skip
        shown = {"median error": f"{errors.median():.4f}", f"AUC at {THRESHOLD}": area.shown(),
                 "failures, %": failures.shown()}  # fmt: skip
        rows.append((names | numbers, names | shown))
    return _table(
        "landmarks", "Landmark error (Chrysos, tables 5 to 7)", rows,
        "68 points against those found in the sharp picture, with the sharp picture's box; mean distance divided by "
        "the diagonal of the box around the true points. The sharp input is the oracle.",
    )  # fmt: skip


def verification(pairs):
    """Ten-fold verification accuracy (one_step, tables 2 and 3; Chrysos, table 8).

    Args:
        pairs: frame with "protocol", "method", "similarity", "same" and "fold".
    """
    rows = []
    for protocol, method, part in groups_of(pairs):
        found = fold_accuracies(part["similarity"], part["same"], part["fold"])
        spread = found.std(ddof=1) / np.sqrt(len(found))
        numbers = {"protocol": protocol, "method": method, "pairs": len(part), "folds": len(found)}
        rows.append(
            (
                {**numbers, "accuracy": found.mean(), "standard error": spread},
                {**numbers, "accuracy, %": f"{100 * found.mean():.2f} ± {100 * spread:.2f}"},
            )
        )
    return _table(
        "verification", "Verification of pairs (one_step, tables 2 and 3; Chrysos, table 8)", rows,
        "Mean over the folds ± its standard error; each fold with the threshold that is best on the others. The first "
        "picture of a pair is restored, the second sharp.",
    )  # fmt: skip


def cost(methods, milliseconds):
    """Parameters, multiply-adds and time.

    Args:
        methods: list of ``Method``.
        milliseconds: dict of method's name to {batch size: milliseconds a face}.
    """
    rows = []
    for method in methods:
        if method.parameters is None and method.name not in milliseconds:
            continue
        numbers = {"method": method.name, "parameters": method.parameters, "multiply-adds": method.multiply_adds}
        shown = {
            "method": method.name,
            "parameters": f"{method.parameters / 1e6:.2f} M" if method.parameters else "",
            "multiply-adds at 128x128": f"{method.multiply_adds / 1e9:.2f} G" if method.multiply_adds else "",
        }
        for size, time in milliseconds.get(method.name, {}).items():
            numbers[f"ms a face, batch {size}"] = time
            shown[f"ms a face, batch {size}"] = f"{time:.1f}"
        rows.append((numbers, shown))
    return _table(
        "cost", "Size and time (Shen, table 12; one_step, table 1)", rows,
        "Times are the median of several passes after a warm-up, divided by the batch size." if milliseconds else "",
    )  # fmt: skip
