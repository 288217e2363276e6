"""The markdown card of a model on TensorFlow Hub, in the format of the Hub's "Write documentation"."""

PUBLISHER = "deblur-zoo"

CARD = """\
# Module {publisher}/{name}/{version}

Removes motion blur from photos of faces.

<!-- task: image-deblurring -->
<!-- fine-tunable: true -->
<!-- format: saved_model_2 -->

## Overview

A network that takes blurred faces and gives restored ones.{method}

## Usage

Unpack `{name}.tar.gz` into a folder `model`, or give the archive's https:// address in place of the folder.

```python
import tensorflow as tf
import tensorflow_hub as hub

model = hub.load("model")
face = tf.io.decode_image(tf.io.read_file("face.png"), channels=3)
restored = model(tf.cast(face, tf.float32)[tf.newaxis] / 255)[0]
tf.io.write_file("restored.png", tf.io.encode_png(tf.cast(tf.round(255 * restored), tf.uint8)))
```

Fine-tuning, on your own pairs `blurred` and `sharp`, both float32 (N, H, W, 3) in [0, 1]:

```python
import tensorflow_hub as hub
import tf_keras

model = tf_keras.Sequential([hub.KerasLayer("model", trainable=True)])
model.compile(optimizer=tf_keras.optimizers.Adam(1e-5), loss="mse")
model.fit(blurred, sharp, batch_size=16)
```

## Inputs

`images`: float32 (N, H, W, 3), {channels} in [{low}, {high}], any N, H and W from 1 up. `training` (default false): run
as in training.

## Outputs

float32 of the same shape, in [{low}, {high}]; with `training=True` not clipped to it. The signature `serving_default`
takes `images` and gives `restored`.

## Alignment
{alignment}
## Limits

- It was trained for one aligned face that fills the crop. Other photos run, but are not what it was measured on.
- Details that the blur has destroyed are made up from other faces: what comes out is no evidence of who somebody is.

## Licence

{license}
{paper}"""

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
        information: dict of ``exporters.information``; what it does not say is left out or said to be unknown.
    """
    information = information or {}
    tensor = information.get("input") or {}
    low, high = tensor.get("range") or (0, 1)
    paper = information.get("paper") or {}
    title = paper.get("title")
    return CARD.format(
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
