"""What a second pass through a model gains or costs, by row of a protocol."""

import pandas as pd

from deblur_zoo.evaluation.report_tables import Table, percent
from deblur_zoo.evaluation.runs import Result, frame_of
from deblur_zoo.evaluation.statistics import paired_difference

ALL = "all"


def by_second_pass(blurred: Result, once: list[Result], twice: list[Result]) -> Table:
    """Table of the gain after one pass and after two.

    Args:
        blurred: of the blurred input on a test set.
        once: results of models on it.
        twice: results of the same models in the same order, each with two passes.

    Returns:
        ``report_tables.Table`` with a column for each model; its numbers also have the paired difference.

    Raises:
        ValueError: results on different pictures.
    """
    rows: list[dict[str, object]] = []
    shown: dict[str, dict[str, str]] = {}
    frame = frame_of([blurred, *once, *twice])
    for first, second in zip(once, twice, strict=True):
        name = first.method.name
        parts = [frame[frame["method"] == result.method.name] for result in (first, second)]
        for group in [*parts[0]["group"].unique(), ALL]:
            chosen = [part if group == ALL else part[part["group"] == group] for part in parts]
            (gain, worse), (second_gain, second_worse) = (part[["gain", "made_worse"]].mean() for part in chosen)
            gains = [part.set_index(["pair", "face"])["gain"] for part in chosen]
            difference, share = paired_difference(gains[1], gains[0])
            rows.append(
                {
                    "method": name, "group": group, "pictures": len(gains[0]),
                    "gain, 1 pass": gain, "made worse, 1 pass": worse,
                    "gain, 2 passes": second_gain, "made worse, 2 passes": second_worse,
                    **{f"difference {end}": value for end, value in vars(difference).items()},
                    "second pass better": share,
                }
            )  # fmt: skip
            sure = " *" if difference.low > 0 or difference.high < 0 else ""
            cells = shown.setdefault(group, {"blur": group.replace("_", " ")})
            cells[name] = f"{gain:+.2f} ({percent(worse)}), {second_gain:+.2f} ({percent(second_worse)}){sure}"
    protocol = blurred.test_set.name
    return Table(
        "by_second_pass", f"A second pass, by row of the protocol {protocol}",
        pd.DataFrame(rows), pd.DataFrame(shown.values()),
        "Mean gain over the blurred input in dB (share of pictures made worse) after one pass, then after two; * the "
        "95 % interval of their difference over faces excludes 0.",
    )  # fmt: skip
