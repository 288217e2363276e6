"""The model card of a published preset, in Markdown."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deblur_zoo import zoo
from deblur_zoo.zoo import presets
from trainers.publishing.measures import measure_of

_DEBLURRER_LIMITS = """\
- Trained on upright, aligned faces of about {size}x{size} pixels and motion blur of up to {kernel} pixels that is
  uniform over the image. Other images, other scales, defocus and strong compression give worse results than the table.
- Detail that blur has removed is filled in with what faces usually look like. Do not use a restored face to identify a
  person, as evidence, or for any decision about somebody.
- It may perform worse on people, ages and lighting that are rare in the training data; `docs/results.md` has its gain
  by ethnic group.
- **Who should not use it:** anybody who wants to know who somebody is or what a face really looked like, and anybody
  who decides about people: police, courts, border and access control, insurers, employers, doctors, news desks."""
_PARSER_LIMITS = """\
- Trained on upright, aligned faces of about {size}x{size} pixels. Other images, other scales and faces in profile give
  worse results than the table.
- It says which pixels are hair or skin, not whose they are. Do not use it to sort people.
- It may perform worse on people, ages and lighting that are rare in the training data.
- **Who should not use it:** anybody who wants to recognise people, or to infer their origin, age, health or mood from
  their faces."""
# Kind to (what it does, how it is used, its limits).
KINDS = {
    "deblurrer": (
        "Restores motion-blurred faces.",
        'sharp = deblur_zoo.load("{name}").deblur("blurred_face.png")',
        _DEBLURRER_LIMITS,
    ),
    "parser": (
        "Labels every pixel of a face as one of 11 classes.",
        'labels = deblur_zoo.load("{name}").parse("face.png")',
        _PARSER_LIMITS,
    ),
}


# Kind to the hubs' name of the task, and {measured number: the hubs' name of the metric}.
_HUB_TASKS = {
    "deblurrer": ("image-to-image", {"psnr": "psnr", "psnr_gain_db": "psnr gain", "ssim": "ssim"}),
    "parser": ("image-segmentation", {"mean_f_score": "f1"}),
}


def front_matter(config: Mapping[str, Any], entry: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """The YAML that model hubs read. Values are written as JSON, which YAML includes."""
    task, metrics = _HUB_TASKS[config["kind"]]
    datasets = [name for name in ("CelebA", "MEBeauty") if name in training["data"]]
    found = [
        {"type": name, "value": entry["measured"][key]} for key, name in metrics.items() if key in entry["measured"]
    ]
    result = {
        "task": {"type": task},
        "dataset": {"name": "development faces", "type": "development-faces"},
        "metrics": found,
    }
    license = config["license"]["weights"]
    if "non-commercial" in license:
        # "other": a licence without an SPDX identifier.
        terms = {"license": "other", "license_name": "non-commercial-research", "license_link": "README.md"}
    else:
        terms = {"license": license.lower()}
    values = {
        **terms,
        "library_name": "keras",
        "pipeline_tag": task,
        "tags": ["face-deblurring", "image-restoration", "keras", "deblur-zoo"],
        **({"datasets": datasets} if datasets else {}),
        "model-index": [{"name": config["name"], "results": [result]}],
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())


def published() -> dict[str, dict[str, Any]]:
    """Rows of ``index.json`` of the presets that have weights, by name."""
    index = presets.read_json(zoo.hub_folder() / "index.json")["presets"]
    return {name: entry for name, entry in index.items() if entry["weights_sha256"]}


def make_card(name: str, entry: Mapping[str, Any]) -> tuple[Path, str]:
    """Render a published preset's card.

    Args:
        name: the preset's.
        entry: its row of ``index.json``.

    Returns:
        (path of the card, its text).

    Raises:
        ValueError: a missing, damaged or unsuitable file.
    """
    folder = Path(zoo.hub_folder(), name)
    try:
        config, training = presets.read_config(folder), presets.read_json(folder / "training.json")
        return folder / "README.md", card(config, entry, training, measure_of(config["kind"]).table(folder))
    except KeyError as error:
        raise ValueError(f"the card of {name} needs {error}, which its files do not have") from None


def card(config: Mapping[str, Any], entry: Mapping[str, Any], training: Mapping[str, Any], table: str) -> str:
    """The model card in Markdown, with the measured table, below the front matter that model hubs read.

    Args:
        config: the preset's config.
        entry: its row of ``index.json``.
        training: the content of training.json.
        table: the measured table in Markdown.
    """
    name, recipe, measure = config["name"], training["recipe"], measure_of(config["kind"])
    purpose, usage, limits = KINDS[config["kind"]]
    kernels = [size for bank in recipe["data"]["kernels"].values() for size in bank["sizes"]]
    limits = limits.format(size=recipe["data"]["crop_size"], kernel=max(kernels, default=0))
    return f"""---
{front_matter(config, entry, training)}---

# {name}

{purpose} Method: {", ".join(str(value) for value in config["paper"].values())}.

```python
import deblur_zoo

{usage.format(name=name)}
```

| | |
|---|---|
| class | `{config["class"]}`, arguments in `config.json` |
| parameters | {entry["parameters"]:,} |
| multiply-adds at 128x128 | {entry["gmac_128"]} G |
| weights | {entry["weights_bytes"] / 1e6:.2f} MB, float16, sha256 `{entry["weights_sha256"]}` |
| input | RGB in [0, 1], any height and width; face in the canonical alignment of `config.json` |
| stages and losses | {"; ".join(_stage(stage) for stage in recipe["stages"])} |
| networks used in training | {_networks(training)} |
| training | batches of {recipe["batch_size"]}, {recipe["precision"]}, seed {recipe["seed"]}; best weights at step \
{training["steps"]} ({training["faces_seen"]:,} faces), {training["hours"]} hours on {training["device"]} |

The recipe is `recipe.json`; `training.json` records the actual run, with versions and the data's fingerprint.\
{" " + training["note"] if training["note"] else ""}
Weights are the moving average over training, chosen by {measure.chosen_by}.

## Measured

{measure.row(entry["measured"])}

This is its row of `index.json`; `docs/results.md` compares all presets. Measured by

{measure.how(name)}

{table.strip()}

{measure.remarks}

## Limits, and who should not use it

{limits}

## Data and licence

{_data(training)}
- Code: {config["license"]["code"]}. Weights: {config["license"]["weights"]}.
"""


def _data(training):
    """Training and development data, one line each; sets of faces are identified by their fingerprints."""
    lines = [f"- Trained on {training['data']}."]
    for key, title in (("faces", "training faces"), ("pairs", "pairs"), ("development", "development faces")):
        found = training.get(key)
        if found:
            lines.append(f"- {found['count']:,} {title}, fingerprint `{found['sha256']}`.")
    return "\n".join(lines)


def _stage(stage):
    losses = [f"{term} {weight:g}" for term, weight in stage["losses"].items()]
    critic = [f"{term} {weight:g}" for term, weight in stage.get("critic_losses", {}).items()]
    text = f"{stage['name']} {stage['steps']} steps, losses times weights: {', '.join(losses)}"
    return text + (f"; the critic's: {', '.join(critic)}" if critic else "")


def _networks(training):
    recipe, files = training["recipe"], training.get("network_files", {})
    # Older records only say whether there was a facial loss.
    networks = training.get("networks", ["identity"] if training.get("facial_loss") else [])
    names = [f"{name} ({files[name]['file']})" if name in files else name for name in networks]
    names += [f"{role} `{recipe[role]['class']}`" for role in ("critic", "auxiliary") if recipe.get(role)]
    return ", ".join(names) or "none"
