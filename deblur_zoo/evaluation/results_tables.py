"""Tables that only docs/results.md has: presets and parsers, where each preset is strong and weak, groups of people."""

import pandas as pd

from deblur_zoo.evaluation.groups import overlap_sentence
from deblur_zoo.evaluation.methods import BLURRED_INPUT, SHARP_INPUT
from deblur_zoo.evaluation.report_tables import Mean, Table
from deblur_zoo.evaluation.runs import frame_of
from deblur_zoo.evaluation.table import NOT_MEASURED, percent


def presets(index):
    """Size, weights and training of every deblurrer.

    Args:
        index: "presets" of ``hub_models/index.json``.
    """
    rows = [
        {"preset": name, **_size(entry), "trained": _trained(entry)}
        for name, entry in index.items()
        if entry["kind"] == "deblurrer"
    ]
    return Table("presets", "Presets", pd.DataFrame(rows))


def parsers(index):
    """Size and F-score of every parser, as measured at publication; None if there are no parsers."""
    rows = []
    for name, entry in index.items():
        if entry["kind"] == "parser":
            measured = entry["measured"]
            score = f"{measured['mean_f_score']:.3f} ({measured['faces']})" if measured else NOT_MEASURED
            rows.append({"preset": name, **_size(entry), "trained": _trained(entry), "mean F-score (faces)": score})
    if not rows:
        return None
    return Table("parsers", "Parsers", pd.DataFrame(rows), note="As measured at publication, see their cards.")


def _size(entry):
    weights = f"{entry['weights_bytes'] / 1e6:.1f} MB" if entry["weights_sha256"] else "no weights"
    return {
        "parameters": f"{entry['parameters'] / 1e6:.2f} M",
        "multiply-adds at 128x128": f"{entry['gmac_128']:.2f} G",
        "weights": weights,
    }


def _trained(entry):
    training = entry["training"]
    if not entry["weights_sha256"]:
        return "not trained"
    if not training:
        return "not recorded"
    return f"{training['steps']:,} steps, {training['hours']} h on {training['device']}"


def reading(frame):
    """Where each method gains most and least: the rows of all protocols with their extremes.

    Args:
        frame: as from ``runs.frame_of``.
    """
    rows = []
    for method, part in frame[~frame["method"].isin([BLURRED_INPUT, SHARP_INPUT])].groupby("method", sort=False):
        part = part[part["protocol"] != "sharp_in"]
        by_row = part.groupby(["protocol", "group"], sort=False)[["gain", "made_worse"]].mean()
        if by_row.empty:
            continue
        cells = {}
        for title, at in (("most gain", by_row["gain"].idxmax()), ("least gain", by_row["gain"].idxmin()),
                          ("most made worse", by_row["made_worse"].idxmax())):  # fmt: skip
            gain, worse = by_row.loc[at]
            cells[title] = f"{at[0]}, {at[1]}: {gain:+.2f} dB ({percent(worse)})".replace("_", " ")
        rows.append({"method": method, **cells})
    note = "Rows of the tables below with the most and the least gain, and with most pictures made worse (in brackets)."
    return Table("reading", "Where each method gains, and where it fails", pd.DataFrame(rows), note=note)


def by_people(results, groups):
    """Gain by groups of people, with intervals over faces.

    Args:
        results: list of ``runs.Result`` on faces of known groups.
        groups: the group of each face by its name.
    """
    frame = frame_of(results)
    frame = frame[~frame["method"].isin([BLURRED_INPUT, SHARP_INPUT])]
    frame = frame.assign(people=frame["face"].map(groups))
    rows, shown, sentences = [], [], []
    for method, of_method in frame.groupby("method", sort=False):
        cells, gains = {"method": method}, {}
        for group, part in of_method.groupby("people"):
            mean = Mean(part["gain"], part["face"], "+.2f")
            faces, worse = part["face"].nunique(), float(part["made_worse"].mean())
            cells[f"{group} ({faces})"] = f"{mean.shown()} ({percent(worse)})"
            gains[group] = vars(mean.found)
            rows.append({"method": method, "group": group, "faces": faces, **mean.numbers("gain"), "made worse": worse})
        shown.append(cells)
        sentences.append(f"{method}: {overlap_sentence(gains)}")
    note = "Mean gain in dB [95 % interval over faces] (share of pictures made worse). " + " ".join(sentences)
    return Table("by_people", "By group of people", pd.DataFrame(rows), pd.DataFrame(shown), note)
