"""Render docs/results.md from results.json and the index of presets."""

from deblur_zoo.evaluation.baselines import BASELINES, CHOSEN_BY, described
from deblur_zoo.evaluation.groups import overlap_sentence
from deblur_zoo.evaluation.table import NOT_MEASURED, percent

_HEADER = """\
# Results

Every number here comes from the command at the end, which also writes `results.json` with all measurements.
[evaluation.md](evaluation.md) defines the numbers.
"""


def markdown(content, index):
    """The document.

    Args:
        content: results.json: "command" and "rows"; see ``results_measurements.Rows``.
        index: "presets" of ``hub_models/index.json``.

    Returns:
        str that ends in a line feed.
    """
    rows = content["rows"]
    deblurrers = {name: entry for name, entry in index.items() if entry["kind"] == "deblurrer"}
    parsers = {name: entry for name, entry in index.items() if entry["kind"] == "parser"}
    sections = [
        _HEADER + _protocol(rows),
        _presets(rows, deblurrers),
        _by_size(rows, deblurrers),
        _camera(rows, deblurrers),
        _second_pass(rows, deblurrers),
        _baselines(rows),
        _groups(rows, deblurrers),
        _parsers(parsers) if parsers else "",
        _footer(content, rows),
    ]
    return "\n".join(section for section in sections if section)


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in lines)


def _restorations(rows):
    """Every row's restoration, presets and baselines alike."""
    return {name: row["restoration"] for name, row in rows.items() if "restoration" in row}


def _protocol(rows):
    found = next(iter(_restorations(rows).values()), None)
    if not found:
        return ""
    data, protocol = found["of"]["data"], found["of"]["protocol"]
    sizes = protocol["kernel_sizes"]
    text = (
        f"\n**Data.** {data['faces']} aligned faces of 128x128 (`{data['folder']}`, fingerprint "
        f"`{data['fingerprint'][:16]}`), each blurred by {protocol['kernels_per_size_and_face']} of the "
        f"{protocol['kernels']} {protocol['kernel_kind']} kernels of the {protocol['kernel_split']} bank for each size "
        f"({sizes[0]} to {sizes[-1]} pixels): {found['pairs']} pairs. Blur: {protocol['convolution']}; then Gaussian "
        f"noise of sigma {protocol['noise_sigma']:g}; {protocol['input_bits']}-bit images.\n"
    )
    return text


def _presets(rows, deblurrers):
    header = [
        "preset", "parameters", "multiply-adds at 128x128", "weights", "trained", "PSNR, dB (worst)",
        "gain, dB (made worse)", "SSIM (worst)", "identity cosine (blurred)", "sharp in, sharp out, dB",
        "colour shift, %", "ms a face, batch 1", "batch 16",
    ]  # fmt: skip
    table = _table(header, [_preset_cells(name, entry, rows.get(name, {})) for name, entry in deblurrers.items()])
    machines = sorted({row["speed"]["of"]["machine"] for row in rows.values() if "speed" in row})
    backends = sorted({row["speed"]["of"]["backend"] for row in rows.values() if "speed" in row})
    times = f" Times: {'; '.join(machines)}; {', '.join(backends)}, float32." if machines else ""
    return (
        f"## Presets\n\n{table}\n"
        "PSNR, SSIM, identity cosine and colour shift are means over the pairs; the worst image, or the blurred "
        "images' identity cosine, is in brackets. Times are the median of several passes after a warm-up, divided by "
        f"the batch size.{times}\n"
    )


def _preset_cells(name, entry, row):
    cells = [f"`{name}`", f"{entry['parameters'] / 1e6:.2f} M", f"{entry['gmac_128']:.2f} G"]
    if not entry["weights_sha256"]:
        return [*cells, "no weights", "not trained", *[""] * 8]
    cells += [f"{entry['weights_bytes'] / 1e6:.1f} MB", _trained(entry["training"])]
    found = row.get("restoration")
    if found:
        overall, sharp = found["overall"], found["sharp_in"]
        restored = overall["restored"]
        cells += [
            _with_worst(restored["psnr"], ".2f"),
            _gain(overall),
            _with_worst(restored["ssim"], ".3f"),
            _identity(overall),
            f"{sharp['psnr']['mean']:.1f}",
            f"{restored['colour_shift']['mean']:.2f}",
        ]
    else:
        cells += [NOT_MEASURED] * 6
    times = row.get("speed", {}).get("milliseconds_a_face")
    return cells + ([f"{times['1']:.1f}", f"{times['16']:.1f}"] if times else [NOT_MEASURED] * 2)


def _trained(training):
    if not training:
        return "not recorded"
    return f"{training['steps']:,} steps, {training['hours']} h on {training['device']}"


def _with_worst(values, form):
    return f"{values['mean']:{form}} ({values['worst']:{form}})"


def _gain(compared):
    return f"{compared['psnr_gain']['mean']:+.2f} ({percent(compared.get('made_worse'))})"


def _identity(overall):
    restored, blurred = (overall[name]["identity_cosine"] for name in ("restored", "blurred"))
    return f"{restored['mean']:.3f} ({blurred['mean']:.3f})" if restored else NOT_MEASURED


def _by_size(rows, deblurrers):
    found = _restorations(rows)
    if not found:
        return ""
    measured = {f"`{name}`": found[name] for name in deblurrers if name in found}
    measured |= {baseline.title: found[name] for name, baseline in BASELINES.items() if name in found}
    sizes = list(next(iter(measured.values()))["by_kernel_size"])

    def at(result, size):
        return result["overall"] if size == "all" else result["by_kernel_size"][size]

    columns = [*sizes, "all"]
    blurred = next(iter(measured.values()))
    gains = [["PSNR of the blurred input", *[f"{at(blurred, s)['blurred']['psnr']['mean']:.2f}" for s in columns]]]
    gains += [[title, *[_gain(at(result, size)) for size in columns]] for title, result in measured.items()]
    ssim = [["blurred input", *[f"{at(blurred, size)['blurred']['ssim']['mean']:.3f}" for size in columns]]]
    ssim += [
        [title, *[f"{at(result, size)['restored']['ssim']['mean']:.3f}" for size in columns]]
        for title, result in measured.items()
    ]
    return (
        "## By kernel size\n\nGain in PSNR over the blurred input, in dB, by the kernel's size in pixels, and the "
        "share of images made worse:\n\n"
        f"{_table(['', *columns], gains)}\nSSIM:\n\n{_table(['', *columns], ssim)}"
    )


def _camera(rows, deblurrers):
    found = {name: rows[name]["camera"] for name in deblurrers if "camera" in rows.get(name, {})}
    if not found:
        return ""
    first = next(iter(found.values()))
    protocol, kinds = first["of"]["protocol"], first["of"]["protocol"]["kinds"]
    lines = [
        [
            meaning,
            f"{first['by_kind'][kind]['blurred']['psnr']['mean']:.2f}",
            *[_gain(result["by_kind"][kind]) for result in found.values()],
        ]
        for kind, meaning in kinds.items()
    ]
    header = ["", "PSNR blurred, dB", *[f"`{name}`" for name in found]]
    pairs = f" {protocol['pairs']['count']} pairs come from videos of other people." if "pairs" in protocol else ""
    return (
        "## Camera-like blur\n\nThe protocol `camera` of [evaluation.md](evaluation.md): gain in dB, and the share of "
        f"images made worse.{pairs}\n\n{_table(header, lines)}"
    )


def _second_pass(rows, deblurrers):
    found = {name: rows[name] for name in deblurrers if "second_pass" in rows.get(name, {})}
    found = {name: row for name, row in found.items() if "camera" in row}
    if not found:
        return ""
    kinds = next(iter(found.values()))["camera"]["of"]["protocol"]["kinds"]

    def cell(row, kind):
        one, two = (row[part]["by_kind"][kind] for part in ("camera", "second_pass"))
        change = two["psnr_gain"]["mean"] - one["psnr_gain"]["mean"]
        return f"{change:+.2f} ({percent(two.get('made_worse'))})"

    lines = [[meaning, *[cell(row, kind) for row in found.values()]] for kind, meaning in kinds.items()]
    return (
        "## Second pass\n\nWhat `passes=2` adds to the gain of one pass, in dB, and the share of images made worse by "
        f"both passes together:\n\n{_table(['', *[f'`{name}`' for name in found]], lines)}"
    )


def _baselines(rows):
    found = {name: rows[name]["restoration"] for name in BASELINES if "restoration" in rows.get(name, {})}
    if not found:
        return ""
    overall = next(iter(found.values()))["overall"]
    identity = overall["blurred"]["identity_cosine"]
    lines = [
        [
            "the blurred input",
            _with_worst(overall["blurred"]["psnr"], ".2f"),
            "",
            _with_worst(overall["blurred"]["ssim"], ".3f"),
            f"{identity['mean']:.3f}" if identity else NOT_MEASURED,
            "",
        ]
    ]
    for name, result in found.items():
        overall = result["overall"]
        identity = overall["restored"]["identity_cosine"]
        lines.append(
            [
                BASELINES[name].title,
                _with_worst(overall["restored"]["psnr"], ".2f"),
                _gain(overall),
                _with_worst(overall["restored"]["ssim"], ".3f"),
                f"{identity['mean']:.3f}" if identity else NOT_MEASURED,
                described(result["of"]["constants"]),
            ]
        )
    header = ["", "PSNR, dB (worst)", "gain, dB (made worse)", "SSIM (worst)", "identity cosine", "constants"]
    return (
        f"## Classical methods on the same pairs\n\n{_table(header, lines)}\n"
        "The methods are scikit-image's, on images mirrored at their borders and cropped afterwards. The oracles are "
        "given the true kernel, which is unknown for a photo, and serve as a reference. The constants are those with "
        f"the best mean PSNR on a few training faces under the same kernels, as printed by `{CHOSEN_BY}`.\n"
    )


def _groups(rows, deblurrers):
    found = {name: rows[name]["groups"] for name in deblurrers if "groups" in rows.get(name, {})}
    if not found:
        return ""
    of = next(iter(found.values()))["of"]
    names = list(of["faces_by_group"])
    lines = [[f"`{name}`", *[_interval(result["gain_db"][group]) for group in names]] for name, result in found.items()]
    bootstrap, data, sizes = of["bootstrap"], of["data"], of["faces_by_group"]
    header = ["", *[f"{group} ({sizes[group]})" for group in names]]
    verdicts = "".join(f"- `{name}`: {overlap_sentence(result['gain_db'])}\n" for name, result in found.items())
    return (
        f"## By ethnic group\n\n{data['faces']} faces (`{data['folder']}`, fingerprint "
        f"`{data['fingerprint'][:16]}`), by the group in the data set's file names. Mean gain in dB, where each face "
        f"counts once by its mean over its kernels, with the {100 * bootstrap['confidence']:g} % interval of a "
        f"bootstrap over {bootstrap['over']} ({bootstrap['method']}, {bootstrap['resamples']:,} resamples, seed "
        f"{bootstrap['seed']}) in square brackets and the share of pairs made worse in round brackets:\n\n"
        f"{_table(header, lines)}\n{verdicts}"
    )


def _interval(gain):
    return f"{gain['mean']:+.2f} [{gain['low']:.2f}, {gain['high']:.2f}] ({percent(gain.get('made_worse'))})"


def _parsers(parsers):
    lines = []
    for name, entry in parsers.items():
        cells = [f"`{name}`", f"{entry['parameters'] / 1e6:.2f} M", f"{entry['gmac_128']:.2f} G"]
        if entry["weights_sha256"]:
            measured = entry["measured"]
            cells += [f"{entry['weights_bytes'] / 1e6:.1f} MB", _trained(entry["training"])]
            cells += [f"{measured['mean_f_score']:.3f} ({measured['faces']})" if measured else NOT_MEASURED]
        else:
            cells += ["no weights", "not trained", ""]
        lines.append(cells)
    header = ["preset", "parameters", "multiply-adds at 128x128", "weights", "trained", "mean F-score (faces)"]
    return f"## Parsers\n\nAs measured at publication, see their cards.\n\n{_table(header, lines)}"


def _footer(content, rows):
    versions = {name: result["versions"] for name, result in _restorations(rows).items()}
    same = {tuple(sorted(found.items())) for found in versions.values()}
    told = "".join(
        "\nVersions: " + ", ".join(f"{name} {value}" for name, value in sorted(found)) + ".\n" for found in sorted(same)
    )
    return (
        f"## Command\n\n    {content['command']}\n\nPaths are shortened to their last part. The command measures what "
        f"is missing or has changed, and keeps the rest.\n{told}"
    )
