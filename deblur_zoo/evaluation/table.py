"""From a measurement to metrics.json and a table in Markdown.

``python -m deblur_zoo.evaluation.table results/metrics.json`` prints the table of such a file.
"""

import contextlib
import json
import pathlib
import platform

import numpy as np

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
        dict with "protocol", "measures", "faces", "pairs", "overall" and "by_kernel_size" (each "blurred", "restored"
        and "psnr_gain"), and "sharp_in" (None where it was not asked for). PSNR in dB, colour shift in percent of
        the full range, identity None where not measured.
    """
    every = np.ones(len(measurement.sizes), bool)
    return {
        "format_version": FORMAT_VERSION,
        "protocol": measurement.protocol.describe(),
        "measures": {
            "psnr": "dB, RGB in [0, 1] over the whole crop, from 8-bit pictures, each image capped at 60",
            "ssim": "11-tap gaussian window of sigma 1.5, population covariance, windows inside the crop, RGB mean",
            "colour_shift": "percent of the full range: difference of an image's mean colour, absolute, mean over RGB",
            "identity_cosine": "cosine of the identity embeddings of an image and of its sharp version",
        },
        "faces": measurement.face_count,
        "pairs": len(measurement.sizes),
        "overall": _compared(measurement, every),
        "by_kernel_size": {
            str(size): _compared(measurement, measurement.sizes == size) for size in measurement.protocol.sizes
        },
        "sharp_in": None if measurement.sharp_in is None else _scores(measurement.sharp_in),
    }


def _compared(measurement, chosen):
    rows = {name: scores.select(chosen) for name, scores in measurement.rows.items()}
    gain = rows["restored"].psnr - rows["blurred"].psnr
    return {**{name: _scores(scores) for name, scores in rows.items()}, "psnr_gain": statistics(gain)}


def _scores(scores):
    return {
        "psnr": statistics(scores.psnr),
        "ssim": statistics(scores.ssim),
        "colour_shift": statistics(np.abs(scores.colour).mean(axis=1), worst=np.max),
        "mean_colour_change": [float(value) for value in scores.colour.mean(axis=0)],
        "identity_cosine": None if scores.identity is None else statistics(scores.identity),
    }


def versions():
    """Versions of what computed the numbers."""
    import keras

    import deblur_zoo

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
    """metrics.json as a table with its protocol, in Markdown.

    Args:
        metrics: what ``summary`` gives; "model", "data" and "versions", where present, are named below the table.

    Returns:
        str that ends in a line feed.
    """
    lines = [
        "| kernel size | pairs | PSNR blurred | PSNR restored | gain | SSIM blurred | SSIM restored |",
        "|---|---|---|---|---|---|---|",
    ]
    per_size = metrics["pairs"] // len(metrics["by_kernel_size"])
    lines += [_table_row(size, per_size, rows) for size, rows in metrics["by_kernel_size"].items()]
    lines.append(_table_row("all", metrics["pairs"], metrics["overall"]))
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


def _table_row(size, pairs, rows):
    cells = [str(size), str(pairs)]
    cells += [_spread(rows[name]["psnr"], ".2f") for name in ("blurred", "restored")]
    cells.append(f"{rows['psnr_gain']['mean']:+.2f}")
    cells += [_spread(rows[name]["ssim"], ".3f") for name in ("blurred", "restored")]
    return "| " + " | ".join(cells) + " |"


def _spread(values, form):
    return f"{values['mean']:{form}} ± {values['std']:{form}} ({values['worst']:{form}})"


def _measure_row(title, name, form, *columns):
    cells = [
        NOT_MEASURED if not column or not column[name] else form.format(column[name]["mean"]) for column in columns
    ]
    return "| " + " | ".join([title, *cells]) + " |"


def _small_print(metrics):
    protocol, text = metrics["protocol"], []
    text.append(
        f'Protocol "{protocol["name"]}": {metrics["faces"]} faces; every face is blurred by '
        f"{protocol['kernels_per_size_and_face']} of the bank's {protocol['kernels']} {protocol['kernel_kind']} "
        f"kernels ({protocol['kernel_split']} split, seed {protocol['kernel_seed']}) for each kernel size "
        f"({', '.join(map(str, protocol['kernel_sizes']))}); {protocol['convolution']}; gaussian noise of sigma "
        f"{protocol['noise_sigma']:g} (seed {protocol['noise_seed']}), clipped; {protocol['input_bits']}-bit input."
    )
    text += [f"{name}: {meaning}." for name, meaning in metrics["measures"].items()]
    model, data = metrics.get("model"), metrics.get("data")
    if model:
        text.append("Model: " + ", ".join(f"{name} {value}" for name, value in model.items()) + ".")
    if data:
        text.append("Data: " + ", ".join(f"{name} {value}" for name, value in data.items()) + ".")
    if metrics.get("versions"):
        text.append("Versions: " + ", ".join(f"{name} {value}" for name, value in metrics["versions"].items()) + ".")
    return "\n" + "\n".join(f"- {line}" for line in text) + "\n"


def write(metrics, folder):
    """Write metrics.json and table.md into a folder, each whole or not at all.

    Returns:
        the two paths.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "metrics.json": json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "table.md": markdown(metrics),
    }
    # Both are complete beside their targets before either takes its place.
    with contextlib.ExitStack() as stack:
        temporary = {name: stack.enter_context(atomic_path(folder / name)) for name in contents}
        for name, content in contents.items():
            temporary[name].write_text(content, encoding="utf-8")
    return [folder / name for name in contents]


def markdown_of_file(path):
    """The table of a metrics.json.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no metrics.json of a deblurrer.
    """
    try:
        return markdown(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is no metrics.json of a deblurrer") from None


def _print(arguments):
    if len(arguments) != 1:
        raise UsageError("name one metrics.json")
    try:
        print(markdown_of_file(arguments[0]), end="")
    except ValueError as error:
        raise UsageError(str(error)) from None


if __name__ == "__main__":
    command_line_tools.run(_print, "deblur_zoo.evaluation.table")
