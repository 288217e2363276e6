"""A report's plots, by matplotlib."""

from io import BytesIO

import numpy as np
from matplotlib.figure import Figure

from deblur_zoo.evaluation.methods import BLURRED_INPUT, SHARP_INPUT
from deblur_zoo.metrics.landmarks import THRESHOLD


def all_plots(frame):
    """Every plot that the columns of a frame allow.

    Args:
        frame: as from ``runs.frame_of``.

    Yields:
        (name, title, PNG bytes, note).
    """
    for protocol in frame["protocol"].unique():
        part = frame[frame["protocol"] == protocol]
        if part["group"].nunique() > 1:
            yield f"psnr_{protocol}", f"PSNR by row of the protocol {protocol}", _by_group(part, "psnr", "PSNR, dB"), ""
        for column, label in (("identity_cosine", "identity cosine"), ("identity_distance", "identity distance")):
            if column in part and part[column].notna().any():
                note = (
                    "Share of pictures with at most this value, of a picture and its sharp version (Shen, figure 13; "
                    "Chrysos, figures 20 to 22)."
                )
                title = f"Distribution of the {label}, {protocol}"
                yield f"{column}_{protocol}", title, _distribution(part, column, label), note
        if "landmark_error" in part and part["landmark_error"].notna().any():
            title = f"Cumulative landmark error, {protocol}"
            yield f"landmarks_{protocol}", title, _cumulative(part), "Share of faces with at most this error."


def _figure(x_label, y_label):
    # Without pyplot: no window system, and nothing shared between figures.
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.3)
    return figure, axes


def _png(figure, axes):
    # Beside the axes: inside it hides curves.
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _by_group(frame, column, label):
    figure, axes = _figure("", label)
    # Kinds of blur have no order that a line could follow.
    line = "-" if frame["group"].str.isdigit().all() else "none"
    for method in frame["method"].unique():
        if method != SHARP_INPUT:
            means = frame[frame["method"] == method].groupby("group", sort=False)[column].mean()
            marker = "_" if method == BLURRED_INPUT and line == "none" else "o"
            axes.plot(means.index.str.replace("_", " "), means, marker=marker, markersize=9 if marker == "_" else 5,
                      markeredgewidth=2, linestyle=line, alpha=0.8, label=method)  # fmt: skip
    if frame["group"].str.len().max() > 4:
        axes.tick_params(axis="x", rotation=30)
    return _png(figure, axes)


def _distribution(frame, column, label):
    figure, axes = _figure(label, "share of pictures")
    # Compared with itself, the sharp picture is at the end of the scale.
    frame = frame[frame["method"] != SHARP_INPUT]
    for method in frame["method"].unique():
        chosen = frame.loc[frame["method"] == method, column].dropna()
        if len(chosen):
            axes.ecdf(chosen, linewidth=2.5 if method == BLURRED_INPUT else 1.3, label=method)
    return _png(figure, axes)


def _cumulative(frame):
    figure, axes = _figure("error / diagonal of the box", "share of faces")
    for method in frame["method"].unique():
        errors = np.sort(frame.loc[frame["method"] == method, "landmark_error"].dropna())
        if len(errors):
            axes.step(
                np.append(np.append(0, errors), THRESHOLD * 2),
                np.append(np.arange(len(errors) + 1), len(errors)) / len(errors),
                where="post", label=method,
            )  # fmt: skip
    axes.set(xlim=(0, THRESHOLD), ylim=(0, 1))
    return _png(figure, axes)
