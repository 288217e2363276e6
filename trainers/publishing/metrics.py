"""A deblurrer's metrics.json and its table in the card, from the measurement of ``deblur-zoo-eval``."""

import tempfile

import pandas as pd

from deblur_zoo import zoo
from deblur_zoo.evaluation.faces import Faces
from deblur_zoo.evaluation.methods import BLURRED_INPUT, open_method
from deblur_zoo.evaluation.protocols import make_test_set
from deblur_zoo.evaluation.report import versions
from deblur_zoo.evaluation.report_measures import Chosen
from deblur_zoo.evaluation.report_tables import Table, percent
from deblur_zoo.evaluation.runs import frame_of, run_all
from deblur_zoo.zoo import presets

FORMAT_VERSION = 1
# Column of the rows to its title, the format of its mean, and which value is the worst.
MEASURES = {
    "psnr": ("PSNR, dB", ".2f", "min"),
    "ssim": ("SSIM", ".4f", "min"),
    "colour_shift": ("mean colour shift, %", ".2f", "max"),
    "identity_cosine": ("identity cosine", ".3f", "min"),
}


def measure(preset, folder, limit=None, identity_network=None, progress=False):
    """Measure a preset on sharp faces by the protocols ``kernel_sizes`` and ``sharp_in``.

    Args:
        preset: its folder.
        folder: of aligned sharp crops.
        limit: use only the first N faces, sorted by name.
        identity_network: Keras file of a face recognition network, or None.
        progress: show bars.

    Returns:
        dict for metrics.json: "protocol", "measures", "faces", "pairs", "overall", "by_kernel_size" (each "blurred",
        "restored", "psnr_gain", "made_worse" and "pairs"), "sharp_in", "model", "data" and "versions". PSNR in dB, the
        share made worse in [0, 1], colour shift in percent of the full range; identity None if not measured.

    Raises:
        FileNotFoundError, ValueError: an unusable preset, folder of faces or network.
    """
    weights = presets.read_config(zoo.preset_folder(preset))["weights"]
    faces = Faces(folder, limit)
    method = open_method(preset)
    test_sets = [make_test_set(name, faces) for name in ("kernel_sizes", "sharp_in")]
    measures = Chosen(identity_network=identity_network).measures
    with tempfile.TemporaryDirectory() as kept:
        frame = frame_of(run_all([method], test_sets, measures, kept, progress=progress))
    kernels, sharp_in = (frame[frame["protocol"] == test_set.name] for test_set in test_sets)
    return {
        "format_version": FORMAT_VERSION,
        "protocol": test_sets[0].protocol.describe(),
        "measures": {
            "psnr": "dB, RGB in [0, 1] over the whole crop, from 8-bit pictures, each image capped at 60",
            "made_worse": "share of the pictures whose PSNR is lower than before",
            "ssim": "11-tap gaussian window of sigma 1.5, population covariance, windows inside the crop, RGB mean",
            "colour_shift": "percent of the full range: difference of an image's mean colour, absolute, mean over RGB",
            "identity_cosine": "cosine of the identity embeddings of an image and of its sharp version",
        },
        "faces": len(faces.faces),
        "pairs": len(kernels[kernels["method"] == method.name]),
        "overall": _compared(kernels, method.name),
        "by_kernel_size": {
            group: _compared(kernels[kernels["group"] == group], method.name) for group in test_sets[0].protocol.groups
        },
        "sharp_in": _scores(sharp_in[sharp_in["method"] == method.name]),
        "model": {
            "name": method.name,
            "parameters": method.parameters,
            "weights_sha256": weights["sha256"],
            "precision": method.model.compute_dtype,
        },
        "data": {
            "folder": faces.data["folder"],
            "fingerprint": faces.data["fingerprint"],
            "skipped_files": faces.skipped,
        },
        "versions": versions(),
    }


def _compared(rows, method):
    restored = rows[rows["method"] == method]
    return {
        "blurred": _scores(rows[rows["method"] == BLURRED_INPUT]),
        "restored": _scores(restored),
        "psnr_gain": _statistics(restored["gain"], "min"),
        "made_worse": float(restored["made_worse"].mean()),
        "pairs": len(restored),
    }


def _scores(rows):
    return {name: _statistics(rows[name], worst) if name in rows else None for name, (_, _, worst) in MEASURES.items()}


def _statistics(values, worst):
    return {"mean": float(values.mean()), "std": float(values.std(ddof=0)), "worst": float(values.agg(worst))}


def markdown(metrics):
    """metrics.json as Markdown tables with their protocol.

    Args:
        metrics: as from ``measure``.

    Returns:
        str that ends in a line feed.
    """
    overall = metrics["overall"]
    by_size = [_row(size, of_size) for size, of_size in {**metrics["by_kernel_size"], "all": overall}.items()]
    columns = {"blurred": overall["blurred"], "restored": overall["restored"],
               "sharp in, sharp out": metrics["sharp_in"]}  # fmt: skip
    by_measure = [
        {"measure": title, **{name: _mean(scores[measure], form) for name, scores in columns.items()}}
        for measure, (title, form, _) in MEASURES.items()
    ]
    first, second = (Table("", "", pd.DataFrame(rows)).markdown() for rows in (by_size, by_measure))
    small_print = [_protocol(metrics), *(f"{name}: {meaning}." for name, meaning in metrics["measures"].items())]
    for key in ("model", "data", "versions"):
        listed = ", ".join(f"{name} {value}" for name, value in metrics[key].items())
        small_print.append(f"{key.capitalize()}: {listed}.")
    return (
        f"{first}\nPSNR in dB and SSIM: mean ± standard deviation (worst image).\n\n{second}\n"
        "Sharp in, sharp out: the sharp face is put in, unblurred and without noise, and compared with what comes out."
        "\n\n" + "".join(f"- {line}\n" for line in small_print)
    )


def _row(size, rows):
    def spread(name, measure, form):
        values = rows[name][measure]
        return f"{values['mean']:{form}} ± {values['std']:{form}} ({values['worst']:{form}})"

    return {
        "kernel size": size, "pairs": rows["pairs"],
        "PSNR blurred": spread("blurred", "psnr", ".2f"), "PSNR restored": spread("restored", "psnr", ".2f"),
        "gain": f"{rows['psnr_gain']['mean']:+.2f}", "made worse": percent(rows["made_worse"]),
        "SSIM blurred": spread("blurred", "ssim", ".3f"), "SSIM restored": spread("restored", "ssim", ".3f"),
    }  # fmt: skip


def _mean(values, form):
    return f"{values['mean']:{form}}" if values else "not measured"


def _protocol(metrics):
    protocol = metrics["protocol"]
    return (
        f'Protocol "{protocol["name"]}": {metrics["faces"]} faces; every face is blurred by '
        f"{protocol['kernels_per_size_and_face']} of the bank's {protocol['kernels']} {protocol['kernel_kind']} "
        f"kernels ({protocol['kernel_split']} split, seed {protocol['kernel_seed']}) for each kernel size "
        f"({', '.join(map(str, protocol['kernel_sizes']))}); {protocol['convolution']}; gaussian noise of sigma "
        f"{protocol['noise_sigma']:g} (seed {protocol['noise_seed']}), clipped; {protocol['input_bits']}-bit input."
    )
