"""The markdown card of a model on TensorFlow Hub, in the format of the Hub's "Write documentation"."""

from exporters.information import OUTPUTS

PUBLISHER = "deblur-zoo"

CARD = """\
# Module {publisher}/{name}/{version}

{purpose}

<!-- task: {task} -->
<!-- fine-tunable: true -->
<!-- format: saved_model_2 -->

## Overview

{overview}{method}

## Usage

Unpack `{name}.tar.gz` into a folder `model`, or give the archive's https:// address in place of the folder.

```python
import tensorflow as tf
import tensorflow_hub as hub

model = hub.load("model")
face = tf.io.decode_image(tf.io.read_file("face.png"), channels=3)
{usage}
```

Fine-tuning, on your own pairs {pairs}:

```python
import tensorflow_hub as hub
import tf_keras

model = tf_keras.Sequential([hub.KerasLayer("model", trainable=True)])
model.compile(optimizer=tf_keras.optimizers.Adam(1e-5), loss="{loss}")
model.fit({arguments}, batch_size=16)
```

## Inputs

`images`: float32 (N, H, W, 3), {channels} in [{low}, {high}], any N, H and W from 1 up. `training` (default false): run
as in training.

## Outputs

{outputs} The signature `serving_default`
takes `images` and gives `{output}`.

## Alignment
{alignment}
## Limits

- It was trained on crops filled by one aligned face, and measured only on these.
{limit}

## Licence

{license}
{paper}"""

# Texts for each kind of model.
TEXTS = {
    "deblurrer": {
        "purpose": "Removes motion blur from photos of faces.",
        "task": "image-deblurring",
        "overview": "A network that maps blurred faces to restored ones.",
        "usage": """\
restored = model(tf.cast(face, tf.float32)[tf.newaxis] / 255)[0]
tf.io.write_file("restored.png", tf.io.encode_png(tf.cast(tf.round(255 * restored), tf.uint8)))""",
        "pairs": "`blurred` and `sharp`, both float32 (N, H, W, 3) in [0, 1]",
        "loss": "mse",
        "arguments": "blurred, sharp",
        "outputs": "float32 of the same shape, in [{low}, {high}]; with `training=True` not clipped to it.",
        "limit": "- Details that the blur has destroyed are invented from other faces: a restored face does not prove "
        "anyone's identity.",
    },
    "parser": {
        "purpose": "Labels the pixels of photos of faces.",
        "task": "image-segmentation",
        "overview": "A network that computes class probabilities for each pixel of a face, blurred or not.",
        "usage": """\
probabilities = model(tf.cast(face, tf.float32)[tf.newaxis] / 255)[0]
labels = tf.cast(tf.argmax(probabilities, axis=-1), tf.uint8)
tf.io.write_file("labels.png", tf.io.encode_png(labels[..., tf.newaxis]))""",
        "pairs": "`faces`, float32 (N, H, W, 3) in [0, 1], and `labels`, uint8 (N, H, W)",
        "loss": "sparse_categorical_crossentropy",
        "arguments": "faces, labels",
        "outputs": "float32 (N, H, W, {classes}), each pixel's sum 1. Channels: {labels}.",
        "limit": "- It guesses the labels of covered or dark parts.",
    },
}

ALIGNMENT = """
Square crops of {size}x{size} pixels, border {border}, with these points, as fractions of the crop's width and height
(left is left in the picture):

| point | x | y |
|---|---|---|
{rows}

"""


def card(name, version, information=None):
    """The card's text.

    Args:
        name: the preset's name.
        version: version number or text.
        information: dict of ``exporters.information``; missing entries are left out or called unknown.
    """
    information = information or {}
    tensor = information.get("input") or {}
    low, high = tensor.get("range") or (0, 1)
    paper = information.get("paper") or {}
    title = paper.get("title")
    kind = information.get("kind", "deblurrer")
    labels = information.get("labels") or []
    texts = dict(TEXTS[kind])
    texts["outputs"] = texts["outputs"].format(low=low, high=high, classes=len(labels), labels=", ".join(labels))
    return CARD.format(
        **texts,
        output=OUTPUTS[kind],
        publisher=PUBLISHER,
        name=name,
        version=version,
        method=f" Method: {title}." if title else "",
        channels=tensor.get("channels", "RGB"),
        low=low,
        high=high,
        alignment=_alignment(information.get("alignment")),
        license=_license(information.get("license")),
        paper=f"\n## Paper\n\n{_paper(paper)}\n" if title else "",
    )


def _alignment(alignment):
    if not alignment:
        return "\nNot stated.\n\n"
    rows = [f"| {name.replace('_', ' ')} | {x:g} | {y:g} |" for name, (x, y) in alignment["points"].items()]
    return ALIGNMENT.format(size=alignment["crop_size"], border=alignment["border"], rows="\n".join(rows))


def _license(license):
    stated = [f"- {part}: {text}" for part, text in (license or {}).items() if text]
    return "\n".join(stated) or "Not stated."


def _paper(paper):
    parts = [paper.get("authors"), paper["title"], paper.get("venue"), paper.get("year")]
    if paper.get("arxiv"):
        parts.append(f"arXiv:{paper['arxiv']}")
    return ", ".join(str(part) for part in parts if part) + "."
