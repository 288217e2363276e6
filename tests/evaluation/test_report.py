"""A report: every number in its tables by hand, and the same in all formats."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from deblur_zoo.evaluation import reading
from deblur_zoo.evaluation import report_tables as tables
from deblur_zoo.evaluation.methods import BLURRED_INPUT, SHARP_INPUT
from deblur_zoo.evaluation.report import Illustration, Report
from deblur_zoo.evaluation.statistics import interval, paired_difference
from deblur_zoo.metrics.landmarks import area_under_curve, failure_rate


def rows(method, psnr, protocol="kernel_sizes", **columns):
    """Two faces, each with two pictures."""
    count = len(psnr)
    return pd.DataFrame(
        {
            "protocol": protocol, "method": method, "pair": [f"p{i}" for i in range(count)],
            "face": [f"f{i // 2}" for i in range(count)], "group": [str(13 + 2 * (i % 2)) for i in range(count)],
            "psnr": np.array(psnr, float), "ssim": 0.5, "ssim_volume": 0.6, "colour_shift": 0.1, **columns,
        }
    )  # fmt: skip


def frame(**columns):
    found = pd.concat(
        [rows(BLURRED_INPUT, [20, 20, 20, 20], **columns), rows("a", [22, 24, 19, 23], **columns),
         rows("b", [21, 21, 21, 21], **columns)], ignore_index=True,
    )  # fmt: skip
    return found.assign(gain=found["psnr"] - 20, made_worse=(found["psnr"] < 20).astype(float))


def test_a_face_counts_once():
    values = np.arange(9.0) ** 2
    faces = np.repeat(["a", "b", "c"], [1, 3, 5])
    means = [values[0], values[1:4].mean(), values[4:].mean()]
    found = interval(values, faces)
    assert found.mean == pytest.approx(np.mean(means))
    expected = stats.bootstrap((means,), np.mean, n_resamples=9999, rng=np.random.default_rng(0)).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert np.isnan(interval([1.0, 2.0], ["a", "a"]).low) and interval([1.0, np.nan], ["a", "b"]).mean == 1


def test_paired_differences_by_hand():
    index = pd.MultiIndex.from_arrays([["p", "q", "r"], ["f", "f", "g"]], names=["pair", "face"])
    first, second = pd.Series([1.0, 2.0, 3.0], index), pd.Series([0.0, 3.0, 1.0], index)
    found, share = paired_difference(first, second.iloc[::-1])
    assert found.mean == 1.0 and share == pytest.approx(2 / 3)  # faces: (1 - 1) / 2 and 2
    with pytest.raises(ValueError, match="same pictures"):
        paired_difference(first, second.iloc[:2])
    random = np.random.default_rng(0)
    index = pd.MultiIndex.from_arrays([[f"p{i}" for i in range(40)], np.arange(40) // 4], names=["pair", "face"])
    first, second = (pd.Series(random.normal(size=40), index) for _ in range(2))
    by_face = (first.to_numpy() - second.to_numpy()).reshape(10, 4).mean(axis=1)
    ends = stats.bootstrap((by_face,), np.mean, n_resamples=9999, rng=np.random.default_rng(0)).confidence_interval
    found, _ = paired_difference(first, second)
    # Rounding of a face's mean moves the ends to a neighbouring one of 9,999 resamples.
    assert (found.mean, found.low, found.high) == pytest.approx((by_face.mean(), ends.low, ends.high), abs=1e-3)


def test_summary_and_rows_by_hand():
    table = tables.summary(frame())
    a = table.numbers.set_index("method").loc["a"]
    assert a["psnr mean"] == 22 and a["psnr worst"] == 19 and a["psnr count"] == 4
    assert a["psnr std"] == pytest.approx(np.std([22, 24, 19, 23]))
    assert a["made_worse mean"] == 0.25 and a["gain mean"] == 2
    assert BLURRED_INPUT in set(table.numbers["method"])
    (by_size,) = tables.by_group(frame(), "psnr")
    assert by_size.shown.set_index("method").loc["a", "13"] == "20.50 ± 1.50 (19.00)"
    of_15 = by_size.numbers.query("method == 'a' and group == '15'").iloc[0]
    assert of_15["mean"] == 23.5
    (difference,) = tables.differences(frame(), columns=("psnr",)).numbers.to_dict("records")
    assert (difference["first"], difference["second"], difference["psnr mean"]) == ("a", "b", 1)
    assert difference["psnr first higher"] == 0.75


def test_sharp_faces_gain_nothing():
    table = tables.summary(frame(protocol="sharp_in"))
    assert "gain mean" not in table.numbers and "psnr mean" in table.numbers


def test_one_face_has_no_interval_and_no_star():
    one = frame()[lambda rows: rows["face"] == "f0"]
    assert tables.differences(one, columns=("psnr",)).shown["PSNR, dB"].tolist() == ["+2.000, 100 %"]
    assert tables.summary(one).shown.set_index("method").loc["a", "PSNR, dB"] == "23.00"
    both = tables.differences(frame(), columns=("psnr",)).shown["PSNR, dB"].tolist()
    assert re.fullmatch(r"\+1\.000 \[.*\], 75 %", both[0])  # faces: 2 and 0
    more = frame().assign(psnr=lambda rows: rows["psnr"] + 5 * (rows["method"] == "a"))
    assert "] *, 100 %" in tables.differences(more, columns=("psnr",)).shown["PSNR, dB"].tolist()[0]


def test_recognition_landmarks_and_parsing_by_hand():
    found = frame(rank=[1, 2, 4, np.nan], detected=[1, 1, 0, 1], landmark_error=[0, 0.04, 0.1, np.inf])
    shares = tables.recognition(found).numbers.set_index("method").loc["a"]
    # Faces count once: (1 and 2, then 4).
    assert shares["top-1 mean"] == 25 and shares["top-3 mean"] == 50 and shares["top-5 mean"] == 100
    assert shares["detected mean"] == 75
    points = tables.landmarks(found).numbers.set_index("method").loc["a"]
    assert points["failures mean"] == 50 and points["AUC mean"] == pytest.approx((1 + 0.5) / 4)
    assert points["AUC mean"] == pytest.approx(area_under_curve([0, 0.04, 0.1, np.inf]))
    assert points["failures mean"] == 100 * failure_rate([0, 0.04, 0.1, np.inf])
    hits = {f"{part} {name}": 0 for part in ("hits", "size") for name in tables.PARSED}
    hits |= {"hits nose": [3, 1, 0, 0], "size nose": [8, 4, 2, 2], "hits hair": 2, "size hair": 4}
    scores = tables.parsing(frame(**hits)).numbers.set_index("method").loc["a"]
    shown = tables.parsing(frame(**hits)).shown.set_index("method").loc["a"]
    assert (shown["nose"], shown["teeth"]) == ("0.500", "")
    assert scores["nose"] == 2 * 4 / 16 and scores["hair"] == 1 and scores["average"] == 0.75


def test_verification_by_hand():
    pairs = pd.DataFrame(
        {"protocol": "shen", "method": "a", "similarity": [0.5, 0.9, 0.2, 0.6], "same": [0, 1, 0, 1],
         "fold": [0, 0, 1, 1]}
    )  # fmt: skip
    (row,) = tables.verification(pairs).numbers.to_dict("records")
    assert row["accuracy"] == 0.5 and row["standard error"] == 0 and row["folds"] == 2


def test_the_same_tables_in_every_format(tmp_path):
    found = tables.summary(frame())
    report = Report(
        "A <title>", ["about & so on"], ["missing: `x` <"], [found, reading.published(frame())],
        [Illustration("plot", "A plot", b"\x89PNG")], "the command",
    )  # fmt: skip
    page = report.write(tmp_path).read_text(encoding="utf-8")
    assert "A &lt;title&gt;" in page and "about &amp; so on" in page and "data:image/png;base64,iVBORw==" in page
    # Self-contained: links lead to its own parts.
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    places = re.findall('id="([^"]*)', page)
    assert re.findall('href="#([^"]*)', page) == places == ["summary", "published", "plot"]
    assert "missing: <code>x</code> &lt;" in page
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    row = next(row for row in content["tables"]["summary"]["rows"] if row["method"] == "a")
    assert row["psnr mean"] == 22
    csv = pd.read_csv(tmp_path / "tables" / "summary.csv").set_index("method")
    assert csv.loc["a", "psnr worst"] == 19
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    cell = found.shown.set_index("method").loc["a", "PSNR, dB"]
    assert cell.startswith("22.00 [") and f"| {cell} |" in markdown and f"<td>{cell}</td>" in page
    assert "| Shen et al. 2020 | CelebA | 24.89 | 0.875 | Shen, table 10 |" in markdown
    assert "| a | 2 faces of ours | 22.00 | 0.600 | this report | kernel_sizes: one kernel of each of 8" in markdown
    assert report.write_document(tmp_path / "new" / "results.md").read_text(encoding="utf-8") == markdown
    assert (tmp_path / "new" / "results.json").read_bytes() == (tmp_path / "report.json").read_bytes()
    numbers = pd.read_csv(tmp_path / "new" / "results.csv")
    (mean,) = numbers[numbers["row"].str.startswith("kernel_sizes; a") & (numbers["measure"] == "psnr mean")]["value"]
    assert mean == 22 and set(numbers["table"]) == {"summary", "published"}
    assert "    the command\n" in markdown and "missing: `x` <" in markdown
    assert SHARP_INPUT not in markdown
