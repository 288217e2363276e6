"""The model card of a published preset, in Markdown."""

from trainers.measures import measure_of

_DEBLURRER_LIMITS = """\
- Trained on upright, aligned faces of about {size}x{size} pixels and motion blur of up to {kernel} pixels, the same all
  over the picture. Other pictures, other scales, out-of-focus and strongly compressed pictures come out worse than the
  table says.
- Detail that the blur has removed is made up from what faces usually look like. Do not use a restored face to
  identify a person, as evidence, or for any decision about somebody.
- It may do less well on people, ages and lighting that are rare among the faces it was trained on."""
_PARSER_LIMITS = """\
- Trained on upright, aligned faces of about {size}x{size} pixels. Other pictures, other scales and faces in profile
  come out worse than the table says.
- It says which pixels are hair or skin, not whose they are. Do not use it to sort people.
- It may do less well on people, ages and lighting that are rare among the faces it was trained on."""
# Kind to (what it does, how it is used, its limits).
KINDS = {
    "deblurrer": (
        "Restores a face that motion has blurred.",
        'sharp = deblur_zoo.load("{name}").deblur("blurred_face.png")',
        _DEBLURRER_LIMITS,
    ),
    "parser": (
        "Labels every pixel of a face as one of 11 classes.",
        'labels = deblur_zoo.load("{name}").parse("face.png")',
        _PARSER_LIMITS,
    ),
}


def card(config, entry, training, table):
    """The model card in Markdown, with the measured table.

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
    return f"""# {name}

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
| trained on | {training["data"]} |
| stages and losses | {"; ".join(_stage(stage) for stage in recipe["stages"])} |
| networks used in training | {_networks(training)} |
| training | batches of {recipe["batch_size"]}, {recipe["precision"]}, seed {recipe["seed"]}; best weights at step \
{training["steps"]} ({training["faces_seen"]:,} faces), {training["hours"]} hours on {training["device"]} |
| licence | code {config["license"]["code"]}; weights: {config["license"]["weights"]} |

The recipe is `recipe.json`; what was really run, with versions and the data's fingerprint, is `training.json`.\
{" " + training["note"] if training["note"] else ""}
Weights are the moving average over training, chosen by {measure.chosen_by}.

## Measured

{measure.how(name)}

{table.strip()}

{measure.remarks}

## Limits, and who should not use it

{limits}
"""


def _stage(stage):
    losses = [f"{term} {weight:g}" for term, weight in stage["losses"].items()]
    critic = [f"{term} {weight:g}" for term, weight in stage["critic_losses"].items()]
    text = f"{stage['name']} {stage['steps']} steps, losses times weights: {', '.join(losses)}"
    return text + (f"; the critic's: {', '.join(critic)}" if critic else "")


def _networks(training):
    recipe, files = training["recipe"], training["network_files"]
    names = [f"{name} ({files[name]['file']})" if name in files else name for name in training["networks"]]
    names += [f"{role} `{recipe[role]['class']}`" for role in ("critic", "auxiliary") if recipe.get(role)]
    return ", ".join(names) or "none beside the model"
