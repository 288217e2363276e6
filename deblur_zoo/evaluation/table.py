"""Turn a measurement into metrics.json and a Markdown table.

``python -m deblur_zoo.evaluation.table results/metrics.json`` prints the table of such a file.
"""

import contextlib
import json
import pathlib
import platform

import numpy as np

import deblur_zoo
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.command_line_tools import UsageError

FORMAT_VERSION = 1
NOT_MEASURED = "not measured"


def statistics(values, worst=np.min):
    """Mean, standard deviation and worst of a list of numbers, as plain floats."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values)), "worst": float(worst(values))}


def summary(measurement):
    """A measurement as a dictionary for metrics.json.

    Args:
        measurement: ``deblur_zoo.evaluation.measurement.Measurement``.

    Returns:
        dict with "protocol", "measures", "faces", "pairs", "overall" and "by_kernel_size" or, for the camera protocol,
        "by_kind" (each "blurred", "restored", "psnr_gain", "made_worse" and "pairs"), and "sharp_in" (None if not
        requested). PSNR in dB, the share made worse in [0, 1], colour shift in percent of the full range, identity None
        if not measured.
    """
    protocol = measurement.protocol
    every = np.ones(len(measurement.groups), bool)
    return {
        "format_version": FORMAT_VERSION,
        "protocol": protocol.describe(),
        "measures": {
            "psnr": "dB, RGB in [0, 1] over the whole crop, from 8-bit pictures, each image capped at 60",
            "made_worse": "share of the pictures whose PSNR is lower than before",
            "ssim": "11-tap gaussian window of sigma 1.5, population covariance, windows inside the crop, RGB mean",
            "colour_shift": "percent of the full range: difference of an image's mean colour, absolute, mean over RGB",
            "identity_cosine": "cosine of the identity embeddings of an image and of its sharp version",
        },
        "faces": measurement.face_count,
        "pairs": len(measurement.groups),
        "overall": _compared(measurement, every),
        protocol.grouping: {group: _compared(measurement, measurement.groups == group) for group in protocol.groups},
        "sharp_in": None if measurement.sharp_in is None else _scores(measurement.sharp_in),
    }


def _compared(measurement, chosen):
    rows = {name: scores.select(chosen) for name, scores in measurement.rows.items()}
    gains = measurement.gains[chosen]
    return {
        **{name: _scores(scores) for name, scores in rows.items()},
        "psnr_gain": statistics(gains),
        "made_worse": float(np.mean(gains < 0)),
        "pairs": len(gains),
    }


def _scores(scores):
    return {
        "psnr": statistics(scores.psnr),
        "ssim": statistics(scores.ssim),
        "colour_shift": statistics(np.abs(scores.colour).mean(axis=1), worst=np.max),
        "mean_colour_change": [float(value) for value in scores.colour.mean(axis=0)],
        "identity_cosine": None if scores.identity is None else statistics(scores.identity),
    }


def versions():
    """Versions of the packages that computed the numbers."""
    import keras

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


def markdown(metrics):
    """metrics.json as a Markdown table with its protocol.

    Args:
        metrics: as from ``summary``; "model", "data" and "versions", if present, are listed below the table.

    Returns:
        str that ends in a line feed.
    """
    title, groups = ("kind", metrics["by_kind"]) if "by_kind" in metrics else ("kernel size", metrics["by_kernel_size"])
    lines = [
        f"| {title} | pairs | PSNR blurred | PSNR restored | gain | made worse | SSIM blurred | SSIM restored |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in {**groups, "all": metrics["overall"]}.items():
        # Files of version 0.1 have only the total number of pairs.
        pairs = rows.get("pairs", metrics["pairs"] // (1 if name == "all" else len(groups)))
        lines.append(_table_row(name.replace("_", " "), pairs, rows))
    blurred, restored = metrics["overall"]["blurred"], metrics["overall"]["restored"]
    sharp = metrics["sharp_in"]
    lines += [
        "",
        "PSNR in dB and SSIM: mean ± standard deviation (worst image).",
        "",
        "| measure | blurred | restored | sharp in, sharp out |",
        "|---|---|---|---|",
        _measure_row("PSNR, dB", "psnr", "{:.2f}", blurred, restored, sharp),
        _measure_row("SSIM", "ssim", "{:.4f}", blurred, restored, sharp),
        _measure_row("mean colour shift, %", "colour_shift", "{:.2f}", blurred, restored, sharp),
        _measure_row("identity cosine", "identity_cosine", "{:.3f}", blurred, restored, sharp),
        "",
        "Sharp in, sharp out: the sharp face is put in, unblurred and without noise, and compared with what comes out.",
        "",
    ]
    return "\n".join(lines) + _small_print(metrics)


def _table_row(name, pairs, rows):
    cells = [name, str(pairs)]
    cells += [_spread(rows[name]["psnr"], ".2f") for name in ("blurred", "restored")]
    cells += [f"{rows['psnr_gain']['mean']:+.2f}", percent(rows.get("made_worse"))]
    cells += [_spread(rows[name]["ssim"], ".3f") for name in ("blurred", "restored")]
    return "| " + " | ".join(cells) + " |"


def percent(share):
    """A share in [0, 1] for a table, with more digits if it is small; None was not measured."""
    return NOT_MEASURED if share is None else f"{100 * share:.{1 if share < 0.1 else 0}f} %"


def _spread(values, form):
    return f"{values['mean']:{form}} ± {values['std']:{form}} ({values['worst']:{form}})"


def _measure_row(title, name, form, *columns):
    cells = [
        NOT_MEASURED if not column or not column[name] else form.format(column[name]["mean"]) for column in columns
    ]
    return "| " + " | ".join([title, *cells]) + " |"


def _small_print(metrics):
    protocol = metrics["protocol"]
    text = [_camera_protocol(metrics) if protocol["name"] == "camera" else _kernel_sizes_protocol(metrics)]
    text += [f"{name}: {meaning}." for name, meaning in metrics["measures"].items()]
    model, data = metrics.get("model"), metrics.get("data")
    if model:
        text.append("Model: " + ", ".join(f"{name} {value}" for name, value in model.items()) + ".")
    if data:
        text.append("Data: " + ", ".join(f"{name} {value}" for name, value in data.items()) + ".")
    if metrics.get("versions"):
        text.append("Versions: " + ", ".join(f"{name} {value}" for name, value in metrics["versions"].items()) + ".")
    return "\n" + "\n".join(f"- {line}" for line in text) + "\n"


def _kernel_sizes_protocol(metrics):
    protocol = metrics["protocol"]
    return (
        f'Protocol "{protocol["name"]}": {metrics["faces"]} faces; every face is blurred by '
        f"{protocol['kernels_per_size_and_face']} of the bank's {protocol['kernels']} {protocol['kernel_kind']} "
        f"kernels ({protocol['kernel_split']} split, seed {protocol['kernel_seed']}) for each kernel size "
        f"({', '.join(map(str, protocol['kernel_sizes']))}); {protocol['convolution']}; gaussian noise of sigma "
        f"{protocol['noise_sigma']:g} (seed {protocol['noise_seed']}), clipped; {protocol['input_bits']}-bit input."
    )


def _camera_protocol(metrics):
    protocol = metrics["protocol"]
    kinds = "; ".join(f"{name.replace('_', ' ')}: {meaning}" for name, meaning in protocol["kinds"].items())
    pairs = f"; {protocol['pairs']['count']} video pairs" if "pairs" in protocol else ""
    return (
        f'Protocol "{protocol["name"]}": {metrics["faces"]} faces, each blurred once in every kind{pairs}; seed '
        f"{protocol['seed']}; kernels {protocol['kernels']}; noise of 0.01 unless a kind says otherwise; where a kind "
        f"names neither linear light nor stored values, half of its pairs are of each. {kinds}."
    )


def write(metrics, folder):
    """Write metrics.json and table.md into a folder, each atomically.

    Returns:
        the two paths.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "metrics.json": json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "table.md": markdown(metrics),
    }
    # Write both temporary files before either replaces its target.
    with contextlib.ExitStack() as stack:
        temporary = {name: stack.enter_context(atomic_path(folder / name)) for name in contents}
        for name, content in contents.items():
            temporary[name].write_text(content, encoding="utf-8")
    return [folder / name for name in contents]


def markdown_of_file(path):
    """The table for a metrics.json.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not the metrics.json of a deblurrer.
    """
    try:
        return markdown(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is not the metrics.json of a deblurrer") from None


def _print(arguments):
    if len(arguments) != 1:
        raise UsageError("expected one argument, the path of a metrics.json")
    try:
        print(markdown_of_file(arguments[0]), end="")
    except ValueError as error:
        raise UsageError(str(error)) from None


if __name__ == "__main__":
    command_line_tools.run(_print, "deblur_zoo.evaluation.table")
