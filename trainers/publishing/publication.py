"""Turn a run's best weights into a preset: convert them, measure them, write the card and the index."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deblur_zoo import zoo
from deblur_zoo.annotations import StrPath
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.zoo import golden, multiply_adds, presets
from trainers.publishing.measures import measure_of
from trainers.publishing.model_card import card

_INDEX = "index.json"


def _read(path):
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: RUN must be a finished run of `python -m trainers`")
    return presets.read_json(path)


def _write(path, text):
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def publish_run(
    run: StrPath,
    *,
    development: StrPath,
    data: str,
    license: str,
    preset: StrPath | None = None,
    development_labels: StrPath | None = None,
    cross_validation: StrPath | None = None,
    identity_network: StrPath | None = None,
    device: str | None = None,
    earlier_steps: int = 0,
    earlier_hours: float = 0.0,
    note: str | None = None,
    limit: int | None = None,
) -> None:
    """Turn a run into a preset.

    Args:
        run: folder of a finished run.
        development: folder of aligned development faces to measure on.
        data: training data, for the card.
        license: of the weights.
        preset: name or folder of the preset to publish to; None: the run's own.
        development_labels: folder of their labels, to measure a parser.
        cross_validation: a parser's scores.json of ``trainers.datasets.cross_validation``.
        identity_network: Keras file of a face recognition network, for the identity cosine.
        device: training hardware, for the card; None: from the run's record.
        earlier_steps, earlier_hours: of the runs that this one continued.
        note: a sentence for the card.
        limit: use only the first N faces.

    Raises:
        FileNotFoundError: the run is not finished, or a path is wrong.
        ValueError: weights that do not match the preset, or a failed measurement.
    """
    run = Path(run)
    record, progress, best = _read(run / "run.json"), _read(run / "progress.json"), run / "best.weights.h5"
    if not best.is_file():
        raise FileNotFoundError(f"{best} is missing: the run was trained without --development, which chooses it")
    if progress["best_step"] == 0:
        raise ValueError(f"training did not help: no measurement of {run} is better than the one before its first step")
    target = zoo.preset_folder(preset or record["preset"])
    config = presets.read_config(target)
    measure = measure_of(config["kind"])
    model = zoo.load(target, weights=False)
    zoo.load_initial_weights(model, best)
    training = training_record(
        record, progress, data=data, note=note, device=device, earlier_steps=earlier_steps, earlier_hours=earlier_hours
    )
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".publish-") as temporary:
        staged = Path(temporary) / config["name"]
        licences = {"code": "Apache-2.0", **(config.get("license") or {}), "weights": license}
        paper = config.get("paper") or {"title": config["class"]}
        staged_config = presets.save_preset(model, staged, config["name"], paper=paper, license=licences)
        metrics, table = measure.measure(
            staged,
            development,
            limit=limit,
            labels=development_labels,
            cross_validation=cross_validation,
            identity_network=identity_network,
        )
        _write(staged / "training.json", json.dumps(training, indent=2) + "\n")
        entry = index_entry(staged_config, model, training, metrics)
        _write(staged / "README.md", card(staged_config, entry, training, table))
        files = [presets.WEIGHTS_FILE, "training.json", "metrics.json", "README.md"]
        if config["kind"] == "deblurrer":
            golden.write(zoo.load(staged), staged, staged_config["weights"]["sha256"])
            files.append(golden.FILE)
        # Weights first, then the config, which has their checksum, and the index last.
        for name in [*files, "config.json"]:
            (staged / name).replace(target / name)
    update_index(target.parent / _INDEX, config["name"], entry)
    print(f"published {config['name']}: {measure.headline(metrics)}, {training['steps']} steps")


def training_record(
    record: Mapping[str, Any],
    progress: Mapping[str, Any],
    *,
    data: str,
    note: str | None,
    device: str | None,
    earlier_steps: int,
    earlier_hours: float,
) -> dict[str, Any]:
    """The contents of training.json: the origin of the weights, without this machine's paths.

    Args:
        record: the run's run.json.
        progress: its progress.json.
        data, note, device, earlier_steps, earlier_hours: as in ``publish_run``.

    Raises:
        ValueError: neither the record nor ``device`` names the hardware.
    """
    steps = earlier_steps + progress["best_step"]
    device = device or ", ".join(record.get("devices", []))
    if not device:
        raise ValueError("--device is missing: the run's record does not say what it was trained on")
    networks = record.get("networks", ["identity"] if record.get("facial_loss") else [])
    development = record.get("development")
    return {
        "steps": steps,
        "faces_seen": steps * record["recipe"]["batch_size"],
        "hours": round(earlier_hours + progress["seconds"] / 3600, 2),
        "device": device,
        "data": data,
        "note": note,
        "init_from": record["init_from"] and Path(record["init_from"]).name,
        "init_parts": [f"{change.partition('=')[0]}={Path(change).name}" for change in record.get("init_parts", [])],
        **{
            key: {**record[key], "folders": [Path(folder).name for folder in record[key]["folders"]]}
            for key in ("faces", "pairs") if record.get(key)
        },
        "development": development and {**development, "folder": Path(development["folder"]).name},
        "networks": networks,
        "network_files": {
            name: file for name, file in record.get("network_files", {}).items() if name in networks
        },
        "distribution": record.get("distribution"),
        "git_revision": record.get("git_revision"),
        "versions": record["versions"],
        "recipe": record["recipe"],
    }  # fmt: skip


def index_entry(
    config: Mapping[str, Any], model: Any, training: Mapping[str, Any] | None, metrics: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A preset's row of ``index.json``.

    Args:
        config: the preset's config; None weights are allowed.
        model: the built model.
        training: the contents of training.json, or None.
        metrics: the contents of metrics.json, or None.
    """
    weights = config["weights"] or {}
    return {
        "kind": config["kind"],
        "class": config["class"],
        "weights_sha256": weights.get("sha256"),
        "weights_bytes": weights.get("bytes"),
        "parameters": model.count_params(),
        "gmac_128": round(multiply_adds.count_multiply_adds(model) / 1e9, 3),
        "training": training
        and {"steps": training["steps"], "faces": training["faces_seen"], "hours": training["hours"],
             "device": training["device"]},
        "measured": metrics and measure_of(config["kind"]).index(metrics),
    }  # fmt: skip


def update_index(path: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Replace one row of ``index.json``, leaving the others unchanged."""
    index = _read(path) if path.is_file() else {"format_version": presets.FORMAT_VERSION, "presets": {}}
    index["presets"][name] = entry
    index["presets"] = dict(sorted(index["presets"].items()))
    _write(path, json.dumps(index, indent=2) + "\n")
