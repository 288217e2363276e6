"""Measurements of each kind of preset for publication, and their form in the index and the card."""

import json
from pathlib import Path
from typing import Any

from deblur_zoo import zoo
from deblur_zoo.annotations import StrPath
from deblur_zoo.data.face_store import load_faces
from deblur_zoo.evaluation.report_tables import percent
from deblur_zoo.zoo import presets
from trainers.publishing import metrics as deblurrer_metrics
from trainers.validation.kinds import development_set


class DeblurrerMeasure:
    """Measures like `deblur-zoo-eval`."""

    chosen_by = "PSNR on development faces"

    def measure(
        self,
        folder: Path,
        development: StrPath,
        limit: int | None = None,
        labels: StrPath | None = None,
        cross_validation: StrPath | None = None,
        identity_network: StrPath | None = None,
    ) -> tuple[dict[str, Any], str]:
        """Measure the preset in a folder.

        Args:
            folder: a preset's folder; it gets metrics.json.
            development: folder of aligned development faces.
            limit: use only the first N.
            labels, cross_validation: for parsers.
            identity_network: Keras file, for the identity cosine.

        Returns:
            (contents for metrics.json, table in Markdown).

        Raises:
            ValueError: the measurement failed.
        """
        try:
            metrics = deblurrer_metrics.measure(folder, development, limit, identity_network, progress=True)
        except ValueError as error:
            raise ValueError(f"{error}; nothing was published") from error
        text = deblurrer_metrics.markdown(metrics)
        print(text)
        (folder / "metrics.json").write_text(
            json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )
        return metrics, text

    def table(self, folder):
        """The measured table in Markdown, from the preset's metrics.json.

        Raises:
            ValueError: the file is missing or unsuitable.
        """
        try:
            return deblurrer_metrics.markdown(presets.read_json(Path(folder) / "metrics.json"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(
                f"{folder} has no measured table: its metrics.json is missing or not that of a deblurrer"
            ) from None

    def row(self, measured):
        """The index row's "measured" as a Markdown table."""
        return (
            "| gain over the blurred input | made worse | PSNR | SSIM | sharp in, sharp out | faces |\n"
            "|---|---|---|---|---|---|\n"
            f"| {measured['psnr_gain_db']:+.2f} dB | {percent(measured['made_worse'])} "
            f"| {measured['psnr']:.2f} dB | {measured['ssim']:.3f} | "
            f"{measured['sharp_in_psnr']:.1f} dB | {measured['faces']} |"
        )

    def index(self, metrics):
        """The index row's "measured"."""
        restored = metrics["overall"]["restored"]
        return {
            "psnr_gain_db": round(metrics["overall"]["psnr_gain"]["mean"], 2),
            "made_worse": round(metrics["overall"]["made_worse"], 6),
            "psnr": round(restored["psnr"]["mean"], 2),
            "ssim": round(restored["ssim"]["mean"], 4),
            "sharp_in_psnr": round(metrics["sharp_in"]["psnr"]["mean"], 2),
            "faces": metrics["faces"],
        }

    def headline(self, metrics):
        """The measurement in a few words."""
        overall = metrics["overall"]
        worse = percent(overall["made_worse"])
        return f"{overall['psnr_gain']['mean']:+.2f} dB, made worse {worse}"

    def how(self, name):
        """The measuring command, for the card."""
        return f"    deblur-zoo-eval --preset {name} --faces DEVELOPMENT_FACES --protocol kernel_sizes,sharp_in"

    remarks = (
        "The model was not trained on the faces, kernels and noise of this measurement. `docs/evaluation.md` defines "
        "the measures."
    )


class ParserMeasure:
    """F-scores by component on sharp faces with labels, by the converted weights."""

    chosen_by = "mean F-score on development faces"

    def measure(
        self,
        folder: Path,
        development: StrPath,
        limit: int | None = None,
        labels: StrPath | None = None,
        cross_validation: StrPath | None = None,
        identity_network: StrPath | None = None,
    ) -> tuple[dict[str, Any], str]:
        """As ``DeblurrerMeasure.measure``.

        Args:
            labels: folder of the faces' labels; None: they lie beside the faces.
            cross_validation: the scores.json of ``trainers.datasets.cross_validation``, or None.
        """
        model = zoo.load(folder)
        store = load_faces([development], limit=limit, labels=[labels] if labels else None)
        scores = development_set(model.kind, store, None, 128).measure(model)
        metrics = {
            "format_version": 1,
            "measures": {"f_score": "2 TP / (2 TP + FP + FN) over all known pixels of all faces; mean over components"},
            "faces": len(store),
            "f_scores": {name.removeprefix("f_"): value for name, value in scores.items() if name != "mean_f_score"},
            "mean_f_score": scores["mean_f_score"],
            "data": {"fingerprint": store.fingerprint, "skipped_files": len(store.skipped)},
        }
        if cross_validation:
            metrics["cross_validation"] = _read_scores(Path(cross_validation))
        (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        return metrics, _f_score_table(metrics)

    def table(self, folder):
        """As ``DeblurrerMeasure.table``."""
        return _f_score_table(presets.read_json(Path(folder) / "metrics.json"))

    def row(self, measured):
        return f"| mean F-score | faces |\n|---|---|\n| {measured['mean_f_score']:.3f} | {measured['faces']} |"

    def index(self, metrics):
        held_out = metrics.get("cross_validation")
        row = {"mean_f_score": round((held_out or metrics)["mean_f_score"], 4), "faces": (held_out or metrics)["faces"]}
        return {**row, "folds": held_out["folds"]} if held_out else row

    def headline(self, metrics):
        return f"mean F-score {(metrics.get('cross_validation') or metrics)['mean_f_score']:.3f}"

    def how(self, name):
        return (
            f"    python -m trainers.publishing.publish RUN --preset {name} --development FACES "
            "--development_labels LABELS"
        )

    remarks = "The model was not trained on these faces. Pixels whose true label is unknown are not counted."


def _read_scores(path):
    scores = presets.read_json(path)
    if not {"folds", "faces", "mean_f_score", "f_scores"} <= set(scores):
        raise ValueError(f"{path} is not a scores.json of `python -m trainers.datasets.cross_validation`")
    return scores


def _f_score_table(metrics):
    """F-scores by component on development faces, and on the folds of the cross-validation, if any."""
    held_out = metrics.get("cross_validation")
    rows = {**metrics["f_scores"], "mean": metrics["mean_f_score"]}
    if not held_out:
        lines = [f"| {name} | {value:.3f} |" for name, value in rows.items()]
        return "\n".join(["| component | F-score |", "|---|---|", *lines]) + "\n"
    cells = {**held_out["f_scores"], "mean": held_out["mean_f_score"]}
    found = {name: f"{value:.3f}" for name, value in rows.items()}
    lines = [f"| {name} | {value:.3f} | {found.get(name, '')} |" for name, value in cells.items()]
    return f"""| component | {held_out["folds"]}-fold, {held_out["faces"]} labelled faces | these weights, \
{metrics["faces"]} development faces |
|---|---|---|
{chr(10).join(lines)}

The middle column is from `python -m trainers.datasets.cross_validation`, by parsers that were trained on the other
folds. The shipped weights were trained on all of them.
"""


KINDS = {"deblurrer": DeblurrerMeasure(), "parser": ParserMeasure()}


def measure_of(kind):
    """The measure for presets of a kind.

    Raises:
        ValueError: a kind without one.
    """
    if kind not in KINDS:
        raise ValueError(f"presets of kind {kind!r} cannot be measured; accepted: {', '.join(KINDS)}")
    return KINDS[kind]
