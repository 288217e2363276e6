"""Presets at test width: the preset's arguments with few channels and blocks; everything else is the preset's.

A new class joins by a row in ``SMALL``, here or in a ``*_parameters.py`` of tests/models.
"""

import functools
import json
import runpy
from pathlib import Path

from deblur_zoo import zoo
from deblur_zoo.zoo import presets


def narrow(widths):
    return [4 + 2 * i for i in range(len(widths))]


# Class to the arguments that make its test width, given the preset's.
SMALL = {
    "EnhancementGan": lambda arguments: {
        "widths": narrow(arguments["widths"])[:3],
        "blocks": 1,
        "growth": 2,
        "dense_blocks": 1,
        "dense_units": 2,
        **{name: 1 for name in ("enhancement_blocks",) if arguments[name]},
    },
    "OneStep": lambda arguments: {"width": 8, "reduced_width": 4, "modules": 2},
    "FaceParser": lambda arguments: {"widths": narrow(arguments["widths"])},
    "SemanticFace": lambda arguments: {
        "width": 8,
        "residual_blocks": 1,
        "parser_widths": narrow(arguments["parser_widths"]),
        **{name: 6 for name in ("residual_width", "coarse_width") if arguments[name]},
        **{name: 2 for name in ("coarse_residual_blocks",) if arguments[name]},
    },
    "Umsn": lambda arguments: {
        "width": 8,
        "growth": 4,
        "blocks": 1,
        "last_width": 4,
        "feature_width": 4,
        "feature_blocks": min(2, arguments["feature_blocks"]),
        "parser_width": 4,
    },
    "TwoStepGan": lambda arguments: {
        "hourglass_widths": narrow(arguments["hourglass_widths"]),
        "hourglass_blocks": 1,
        "generator_blocks": min(1, arguments["generator_blocks"]),
        "encoder_widths": narrow(arguments["encoder_widths"]),
        "decoder_widths": [8] * (len(arguments["decoder_widths"]) - 2) + [6, 4],
    },
}
for _path in sorted(Path(__file__).parent.glob("models/*_parameters.py")):
    SMALL |= runpy.run_path(str(_path)).get("SMALL", {})


@functools.cache
def small_config(name):
    config = presets.read_config(zoo.hub_folder() / name)
    return {**config, "arguments": {**config["arguments"], **SMALL[config["class"]](config["arguments"])}}


@functools.cache
def same_at_test_width():
    """Each preset of the hub to the first one that has the same network at test width."""
    first, result = {}, {}
    for name in sorted(presets.read_json(zoo.hub_folder() / "index.json")["presets"]):
        config = small_config(name)
        key = json.dumps([config["class"], config["arguments"]], sort_keys=True)
        result[name] = first.setdefault(key, name)
    return result
