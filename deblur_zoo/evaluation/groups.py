"""Gains by groups of people, taken from file names, with confidence intervals."""

import re
from pathlib import PurePath

import pandas as pd

from deblur_zoo.evaluation.methods import BLURRED_INPUT, SHARP_INPUT
from deblur_zoo.evaluation.report_tables import Mean, Table, percent
from deblur_zoo.evaluation.runs import frame_of

FEWEST_FACES = 3


def groups_of(stems, pattern):
    """The group of each file.

    Args:
        stems: paths without their ending; only their names count.
        pattern: regular expression for the whole name, whose part ``group`` is the group.

    Returns:
        list of str, one for each.

    Raises:
        ValueError: an invalid regular expression, one without ``group``, a name that does not match, or a group of
            fewer than ``FEWEST_FACES`` faces, whose interval would be meaningless.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is not a regular expression: {error}") from None
    if "group" not in compiled.groupindex:
        raise ValueError(f"the pattern {pattern!r} must have a part (?P<group>...)")
    found = []
    for stem in stems:
        name = PurePath(stem).name
        match = compiled.fullmatch(name)
        if not match or not match["group"]:
            raise ValueError(f"the name {name} does not match the pattern {pattern!r}, which gives its group")
        found.append(match["group"])
    for group in sorted(set(found)):
        if found.count(group) < FEWEST_FACES:
            raise ValueError(f"the group {group} has {found.count(group)} faces; at least {FEWEST_FACES} are required")
    return found


def by_group_of_people(results, groups):
    """Table of the gain by group of people, with intervals over faces.

    Args:
        results: list of ``runs.Result`` on faces of known groups.
        groups: the group of each face by its name.

    Returns:
        ``report_tables.Table``; its note says of each method whether all intervals overlap.
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


def overlap_sentence(gains):
    """A sentence that says whether all groups' intervals overlap.

    Args:
        gains: dict of group to the "low" and "high" end of its interval, in dB.

    Returns:
        str. All intervals overlap pairwise exactly if the latest one begins no later than the earliest one ends.
    """
    first = min(gains, key=lambda group: gains[group]["high"])
    latest = max(gains, key=lambda group: gains[group]["low"])
    end, begin = gains[first]["high"], gains[latest]["low"]
    if begin <= end:
        return f"all intervals overlap, from {begin:+.2f} to {end:+.2f} dB."
    return f"not all intervals overlap: {first} ends at {end:+.2f} dB, {latest} begins at {begin:+.2f} dB."
