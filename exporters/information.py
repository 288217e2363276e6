"""The metadata in an exported file: inputs, outputs, alignment, licence."""

import deblur_zoo
from deblur_zoo.faces import alignment

FORMAT_VERSION = 1
# A preset's kind to the name of what an exported file gives.
OUTPUTS = {"deblurrer": "restored", "parser": "probabilities"}


def information(name, config=None, labels=None, **more):
    """A JSON-serialisable dict for an exported model.

    Args:
        name: the preset's name.
        config: the preset's ``config.json``; None: the defaults of the zoo, without paper and licence.
        labels: names of a parser's classes.
        **more: further entries, such as a TFLite file's precision and size.

    Returns:
        dict with "format_version", "made_by", "preset", "kind"; "input" and "output": "name", "range", "channels" and
        "layout"; "alignment": "crop_size", "points" as fractions of the crop's width and height, and "border";
        "labels": names of the output's channels, None if it is a picture; "license", "paper", "weights_sha256".
    """
    config = config or {}
    points = zip(alignment.POINT_NAMES, alignment.CANONICAL_POINTS.tolist(), strict=True)
    kind = config.get("kind", "deblurrer")
    tensor = {"range": [0, 1], "channels": "RGB", "layout": "NHWC", **config.get("input", {})}
    given = tensor if labels is None else {**tensor, "range": [0, 1], "channels": "one a label"}
    return {
        "format_version": FORMAT_VERSION,
        "made_by": f"deblur-zoo {deblur_zoo.__version__}",
        "preset": name,
        "kind": kind,
        "input": {"name": "images", "type": "float32", **tensor},
        "output": {"name": OUTPUTS[kind], "type": "float32", **given},
        "alignment": config.get("alignment")
        or {"crop_size": alignment.CROP_SIZE, "points": dict(points), "border": "reflect"},
        "labels": None if labels is None else list(labels),
        "license": config.get("license"),
        "paper": config.get("paper"),
        "weights_sha256": (config.get("weights") or {}).get("sha256"),
        **more,
    }
