"""How to read a report: which method for what, where each fails, and the published numbers beside ours."""

import pandas as pd

from deblur_zoo.evaluation.camera_protocol import REAL_MOTION
from deblur_zoo.evaluation.methods import BLURRED_INPUT, SHARP_INPUT
from deblur_zoo.evaluation.report_tables import Mean, Table, groups_of, percent
from deblur_zoo.evaluation.statistics import paired_difference

SHEN = "Shen, table 10"
SHEN_PICTURES = (
    "100 faces aligned by landmarks, 128x128; 80 kernels of camera trajectories, 13 to 27 pixels, noise 0.01: 8,000 "
    "pictures"
)
UMSN_PICTURES = "the pictures of Shen et al. 2020"
QI_PICTURES = (
    "200 faces, every 25 of them with 8 kernels of camera trajectories, 13 to 27 pixels, no noise mentioned: 1,600 "
    "pictures"
)
MSPL_SOURCE = "README of the authors' code (Progressive Semantic Face Deblurring, IEEE Access 2020)"
MSPL_PICTURES = (
    "their own sets MSPL_Center and MSPL_Random, by another kernel generator (Chakrabarti 2016); MATLAB's PSNR and SSIM"
)
# Method, what it was measured on, PSNR in dB, SSIM, where this is printed, and the pictures.
PUBLISHED = (
    ("Shen et al. 2020", "Helen", 25.91, 0.869, SHEN, SHEN_PICTURES),
    ("Shen et al. 2020", "CelebA", 24.89, 0.875, SHEN, SHEN_PICTURES),
    ("Krishnan et al. 2011", "Helen", 19.30, 0.670, SHEN, SHEN_PICTURES),
    ("Krishnan et al. 2011", "CelebA", 18.38, 0.672, SHEN, SHEN_PICTURES),
    ("UMSN (Yasarla et al. 2020)", "Helen", 27.75, 0.897, "UMSN, table III", UMSN_PICTURES),
    ("UMSN (Yasarla et al. 2020)", "CelebA", 26.62, 0.908, "UMSN, table III", UMSN_PICTURES),
    ("Qi et al. 2020", "Helen", 24.33, 0.795, "Qi, table 1", QI_PICTURES),
    ("Qi et al. 2020", "CelebA", 26.13, 0.818, "Qi, table 1", QI_PICTURES),
    ("MSPL-GAN (Lee et al. 2020)", "CelebA, centred", 28.95, 0.936, MSPL_SOURCE, MSPL_PICTURES),
    ("MSPL-GAN (Lee et al. 2020)", "CelebA, random", 28.07, 0.921, MSPL_SOURCE, MSPL_PICTURES),
)
OURS = {
    "shen": "all 80 kernels of 13 to 27 pixels for each face, noise 0.01",
    "kernel_sizes": "one kernel of each of 8 sizes from 13 to 27 for each face, noise 0.01",
    "qi": "one kernel of each of 8 sizes from 13 to 27 for each face, no noise",
    "umsn": "one kernel of each of 9 sizes from 13 to 29 for each face, noise 0.03",
}


def published(frame):
    """Our means beside those that papers print, with the differences of protocol."""
    ours = []
    for protocol, method, part in groups_of(frame[frame["protocol"].isin(OURS)]):
        if method not in (BLURRED_INPUT, SHARP_INPUT):
            how = f"{protocol}: {OURS[protocol]}: {len(part):,} pictures"
            faces = f"{part['face'].nunique()} faces of ours"
            ours.append((method, faces, part["psnr"].mean(), part["ssim_volume"].mean(), "this report", how))
    if not ours:
        return None
    columns = ["method", "measured on", "PSNR, dB", "SSIM", "source", "pictures"]
    numbers = pd.DataFrame([*PUBLISHED, *ours], columns=columns)
    shown = numbers.assign(
        **{"PSNR, dB": numbers["PSNR, dB"].map("{:.2f}".format), "SSIM": numbers["SSIM"].map("{:.3f}".format)}
    )
    return Table(
        "published", "Beside published numbers", numbers, shown,
        "Our SSIM here is that of MATLAB, which takes RGB as a volume, as most papers print it. The faces, their "
        "alignment and the kernels differ from the papers', and no paper says how its pictures were rounded or what it "
        "did at their borders, so these numbers cannot be ranked: only methods on the same pictures can.",
    )  # fmt: skip


def best_for(frame, methods, milliseconds):
    """Which method is best for what, with its lead on the next; None if there are fewer than two.

    Args:
        frame: as from ``runs.frame_of``.
        methods: list of ``Method``; inputs and oracles, which no photo allows, do not compete.
        milliseconds: as for ``report_tables.cost``.
    """
    competing = [method for method in methods if not method.oracle and method.name not in (BLURRED_INPUT, SHARP_INPUT)]
    if len(competing) < 2:
        return None
    frame = frame[frame["method"].isin([method.name for method in competing])]
    rows = []
    for protocol in frame["protocol"].unique():
        part = frame[frame["protocol"] == protocol]
        name = protocol.replace("_", " ")
        if protocol == "sharp_in":
            rows.append(_best("leave sharp faces as they are: PSNR, dB", part, "psnr", ".2f"))
            continue
        rows.append(_best(f"{name}: PSNR, dB", part, "psnr", ".2f"))
        if "identity_cosine" in part:
            rows.append(_best(f"{name}: identity cosine", part, "identity_cosine", ".3f"))
        if (part["group"] == REAL_MOTION).any():
            moving = part[part["group"] == REAL_MOTION]
            rows.append(_best(f"{name}, real motion: PSNR, dB", moving, "psnr", ".2f"))
    sizes = {method.name: method.parameters / 1e6 for method in competing if method.parameters}
    times = {name: by_size[1] for name, by_size in milliseconds.items() if 1 in by_size}
    for title, values, unit in (("fewest parameters", sizes, "M"), ("least time for one face", times, "ms")):
        first, *others = sorted(values.items(), key=lambda item: item[1])[:2] or [None]
        if others:
            (second, value), cell = others[0], f"{first[1]:.2f} {unit}"
            rows.append(
                {"for": title, "best": first[0], "value": cell, "next": f"{second}: {value:.2f} {unit}", "lead": ""}
            )
    note = (
        "Lead: mean difference to the next on the same pictures [95 % interval over faces; * excludes 0]; without a "
        "star the two are equally good here. Methods that are given the kernels are left out."
    )
    return Table("best_for", "Which method for what", pd.DataFrame([row for row in rows if row]), note=note)


def _best(title, frame, column, form):
    """The row of the two methods with the highest mean over faces; None if fewer were measured."""
    by_face = frame.groupby(["method", "face"], sort=False)[column].mean()
    means = by_face.groupby("method", sort=False).mean().dropna().sort_values(ascending=False, kind="stable")
    if len(means) < 2:
        return None
    by_method = {name: frame[frame["method"] == name].set_index(["pair", "face"])[column] for name in means.index[:2]}
    (first, values), (second, others) = by_method.items()
    lead, _ = paired_difference(values, others)
    return {
        "for": title, "best": first, "value": Mean(values, values.index.get_level_values("face"), form).shown(),
        "next": f"{second}: {means[second]:{form}}",
        "lead": lead.shown(f"+{form}") + (" *" if lead.low > 0 else ""),
    }  # fmt: skip


def weak_points(frame):
    """Where each method gains most and least: the rows of all protocols with their extremes.

    Args:
        frame: as from ``runs.frame_of``.
    """
    frame = frame[(frame["protocol"] != "sharp_in") & ~frame["method"].isin([BLURRED_INPUT, SHARP_INPUT])]
    rows = []
    for method, part in frame.groupby("method", sort=False):
        by_row = part.groupby(["protocol", "group"], sort=False)[["gain", "made_worse"]].mean()
        if len(by_row) < 2:
            continue
        cells = {}
        for title, at in (("most gain", by_row["gain"].idxmax()), ("least gain", by_row["gain"].idxmin()),
                          ("most made worse", by_row["made_worse"].idxmax())):  # fmt: skip
            gain, worse = by_row.loc[at]
            cells[title] = f"{at[0]}, {at[1]}: {gain:+.2f} dB ({percent(worse)})".replace("_", " ")
        if not by_row["made_worse"].any():
            cells["most made worse"] = "none"
        rows.append({"method": method, **cells})
    if not rows:
        return None
    note = "Rows of the tables below with the most and the least gain, and with most pictures made worse (in brackets)."
    return Table("weak_points", "Where each method gains, and where it fails", pd.DataFrame(rows), note=note)
