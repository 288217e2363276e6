"""From a run's best weights to a preset: conversion, a new measurement, the card and the index."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from deblur_zoo import multiply_adds, presets, zoo
from deblur_zoo.atomic_file import atomic_path

_INDEX = "index.json"


def _read(path):
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: --run must name a finished run of `python -m trainers`")
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path, text):
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def publish_run(flags):
    """Publish a run; see ``trainers.publish`` for the flags.

    Raises:
        FileNotFoundError: the run is not finished, or a path is wrong.
        ValueError: weights that do not fit the preset, or a measurement that fails.
    """
    run, target = Path(flags["run"]), zoo.preset_folder(flags["preset"])
    record, best = _read(run / "run.json"), run / "best.weights.h5"
    progress = _read(run / "progress.json")
    config = presets.read_config(target)
    model = zoo.load(target, weights=False)
    zoo.load_initial_weights(model, best)
    recipe = record["recipe"]
    steps = flags["earlier_steps"] + progress["best_step"]
    training = {
        "steps": steps,
        "faces_seen": steps * recipe["batch_size"],
        "hours": round(flags["earlier_hours"] + progress["seconds"] / 3600, 2),
        "device": flags["device"],
        "data": flags["data"],
        "note": flags["note"],
        # Names, not paths: those are the machine's own business.
        "init_from": record["init_from"] and Path(record["init_from"]).name,
        "faces": {**record["faces"], "folders": [Path(folder).name for folder in record["faces"]["folders"]]},
        "networks": record.get("networks", ["identity"] if record.get("facial_loss") else []),
        "versions": record["versions"],
        "recipe": recipe,
    }
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".publish-") as temporary:
        staged = Path(temporary) / config["name"]
        license = {"code": "Apache-2.0", **(config.get("license") or {}), "weights": flags["license"]}
        paper = config.get("paper") or {"title": config["class"]}
        staged_config = presets.save_preset(model, staged, config["name"], paper=paper, license=license)
        metrics = _measure(staged, flags)
        _write(staged / "training.json", json.dumps(training, indent=2) + "\n")
        entry = index_entry(staged_config, model, training, metrics)
        _write(staged / "README.md", card(staged_config, entry, training, (staged / "table.md").read_text("utf-8")))
        (staged / "table.md").unlink()
        # Weights first and config last: the config names the weights' checksum, and the index is the last word.
        for name in (presets.WEIGHTS_FILE, "training.json", "metrics.json", "README.md", "config.json"):
            (staged / name).replace(target / name)
    update_index(target.parent / _INDEX, config["name"], entry)
    print(f"published {config['name']}: {metrics['overall']['psnr_gain']['mean']:+.2f} dB, {training['steps']} steps")


def _measure(folder, flags):
    """Measure the converted weights in a process of their own, as a user would."""
    command = [sys.executable, "-m", "deblur_zoo.evaluation", "--preset", str(folder), "--faces", flags["development"]]
    command += ["--out", str(folder)]
    for name in ("identity_network", "limit"):
        if flags[name]:
            command += [f"--{name}", str(flags[name])]
    if subprocess.run(command, check=False).returncode:
        raise ValueError("the converted weights could not be measured; nothing was published")
    return _read(folder / "metrics.json")


def index_entry(config, model, training, metrics):
    """A preset's row of ``index.json``.

    Args:
        config: the preset's config; None weights are allowed.
        model: the built model.
        training: the content of training.json, or None.
        metrics: the content of metrics.json, or None.
    """
    weights = config["weights"] or {}
    restored = metrics and metrics["overall"]["restored"]
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
        "measured": metrics
        and {
            "psnr_gain_db": round(metrics["overall"]["psnr_gain"]["mean"], 2),
            "psnr": round(restored["psnr"]["mean"], 2),
            "ssim": round(restored["ssim"]["mean"], 4),
            "sharp_in_psnr": round(metrics["sharp_in"]["psnr"]["mean"], 2),
            "faces": metrics["faces"],
        },
    }  # fmt: skip


def update_index(path, name, entry):
    """Replace one row of ``index.json``; the others stay as they are."""
    index = _read(path) if path.is_file() else {"format_version": presets.FORMAT_VERSION, "presets": {}}
    index["presets"][name] = entry
    index["presets"] = dict(sorted(index["presets"].items()))
    _write(path, json.dumps(index, indent=2) + "\n")


def card(config, entry, training, table):
    """The model card in Markdown, with the measured table.

    Args:
        config: the preset's config.
        entry: its row of ``index.json``.
        training: the content of training.json.
        table: the evaluation's table in Markdown.
    """
    name, recipe = config["name"], training["recipe"]
    stages = ", then ".join(f"{stage['name']} {stage['steps']} steps" for stage in recipe["stages"])
    losses = dict.fromkeys(term for stage in recipe["stages"] for term in [*stage["losses"], *stage["critic_losses"]])
    losses = f"losses {', '.join(losses)}"
    return f"""# {name}

Restores a face that motion has blurred. Method: {", ".join(str(value) for value in config["paper"].values())}.

```python
import deblur_zoo

sharp = deblur_zoo.load("{name}").deblur("blurred_face.png")
```

| | |
|---|---|
| class | `{config["class"]}`, arguments in `config.json` |
| parameters | {entry["parameters"]:,} |
| multiply-adds at 128x128 | {entry["gmac_128"]} G |
| weights | {entry["weights_bytes"] / 1e6:.2f} MB, float16, sha256 `{entry["weights_sha256"]}` |
| input | RGB in [0, 1], any height and width; face in the canonical alignment of `config.json` |
| trained on | {training["data"]} |
| training | {stages} ({losses}), batches of {recipe["batch_size"]}, seed {recipe["seed"]}; best weights at step \
{training["steps"]} ({training["faces_seen"]:,} faces), {training["hours"]} hours on {training["device"]} |
| licence | code {config["license"]["code"]}; weights: {config["license"]["weights"]} |

The recipe is `recipe.json`; what was really run, with versions and the data's fingerprint, is `training.json`.\
{" " + training["note"] if training["note"] else ""}
Weights are the moving average over training, chosen by PSNR on development faces.

## Measured

    python -m deblur_zoo.evaluation --preset {name} --faces DEVELOPMENT_FACES

{table.strip()}

The noise, kernels and faces measured on were not trained on. PSNR and SSIM are as `docs/evaluation.md` defines them.

## Limits, and who should not use it

- Trained on upright, aligned faces of about 128x128 pixels and uniform motion blur of up to 29 pixels. Other pictures,
  other scales, out-of-focus and strongly compressed pictures come out worse than the table says.
- Detail that the blur has removed is made up from what faces usually look like. Do not use a restored face to
  identify a person, as evidence, or for any decision about somebody.
- Trained mostly on photos of celebrities: it may do less well on people, ages and lighting that are rare among them.
"""
