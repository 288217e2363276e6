"""The table of presets in the README, from ``hub_models/index.json``.

python -m deblur_zoo.evaluation.presets
"""

from deblur_zoo import zoo
from deblur_zoo.zoo import presets


def table():
    """The table in Markdown."""
    return presets_table().markdown()


def presets_table():
    """One row per preset.

    Returns:
        ``report_tables.Table``.
    """
    import pandas as pd

    from deblur_zoo.evaluation.report_tables import Table

    index = presets.read_json(zoo.hub_folder() / "index.json")["presets"]
    return Table("presets", "Presets", pd.DataFrame([_row(name, entry) for name, entry in index.items()]))


def _row(name, entry):
    from deblur_zoo.evaluation.report_tables import percent

    measured, training = entry["measured"], entry["training"]
    row = {
        "preset": f"`{name}`",
        "parameters": f"{entry['parameters'] / 1e6:.2f} M",
        "multiply-adds at 128x128": f"{entry['gmac_128']:.2f} G",
        "weights": f"{entry['weights_bytes'] / 1e6:.1f} MB" if measured else "none yet",
        "gain over blurred (made worse)": "",
        "SSIM": "",
        "sharp in, sharp out": "",
        "trained": "not yet",
    }
    if not measured:
        return row
    if training:
        row["trained"] = f"{training['steps']:,} steps, {training['hours']} h on {training['device']}"
    if entry["kind"] == "parser":
        return {**row, "gain over blurred (made worse)": f"F-score {measured['mean_f_score']:.3f}"}
    return {
        **row,
        "gain over blurred (made worse)": f"{measured['psnr_gain_db']:+.2f} dB ({percent(measured['made_worse'])})",
        "SSIM": f"{measured['ssim']:.3f}",
        "sharp in, sharp out": f"{measured['sharp_in_psnr']:.1f} dB",
    }


if __name__ == "__main__":
    print(table(), end="")
