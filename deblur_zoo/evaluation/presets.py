"""The table of presets in the README, from ``hub_models/index.json``.

python -m deblur_zoo.evaluation.presets
"""

from deblur_zoo import zoo
from deblur_zoo.evaluation.table import percent
from deblur_zoo.zoo import presets

COLUMNS = (
    "preset", "parameters", "multiply-adds at 128x128", "weights", "gain over blurred (made worse)", "SSIM",
    "sharp in, sharp out", "trained",
)  # fmt: skip
HEADER = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"


def table():
    """One row per preset, in Markdown."""
    index = presets.read_json(zoo.hub_folder() / "index.json")
    return HEADER + "".join(_row(name, entry) for name, entry in index["presets"].items())


def _row(name, entry):
    measured, training = entry["measured"], entry["training"]
    cells = [f"`{name}`", f"{entry['parameters'] / 1e6:.2f} M", f"{entry['gmac_128']:.2f} G"]
    trained = training and f"{training['steps']:,} steps, {training['hours']} h on {training['device']}"
    if measured and entry["kind"] == "parser":
        cells += [f"{entry['weights_bytes'] / 1e6:.1f} MB", f"F-score {measured['mean_f_score']:.3f}", "", "", trained]
    elif measured:
        cells += [
            f"{entry['weights_bytes'] / 1e6:.1f} MB",
            f"{measured['psnr_gain_db']:+.2f} dB ({percent(measured.get('made_worse'))})",
            f"{measured['ssim']:.3f}",
            f"{measured['sharp_in_psnr']:.1f} dB",
            trained,
        ]
    else:
        cells += ["none yet", "", "", "", "not yet"]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(table(), end="")
