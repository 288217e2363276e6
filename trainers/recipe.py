"""Recipes: how a preset is trained, as data. A recipe travels with its preset as ``recipe.json``."""

import copy
import json
from pathlib import Path

# Every key that a recipe may have, with its default; None: must be given.
_RECIPE_KEYS = {
    "format_version": None,
    "method": None,
    "seed": 0,
    "batch_size": 16,
    "precision": "float32",
    "average": 0.999,
    "steps_per_epoch": 250,
    "validate_every": 1000,
    "data": None,
    "stages": None,
}
_DATA_KEYS = {"crop_size": 128, "noise": 0.01, "unblurred_share": 0.0, "augmentation": {}, "kernels": None}
_STAGE_KEYS = {"name": None, "steps": None, "optimizer": None, "learning_rate": None, "losses": None,
               "facial_share": 1.0, "halve_after": 0, "augmentation": {}}  # fmt: skip
_KERNEL_KEYS = {"share": None, "count": None, "sizes": None, "seed": 0}
PRECISIONS = ("float32", "mixed_bfloat16")


def _complete(entry, keys, where):
    if not isinstance(entry, dict):
        raise ValueError(f"{where} must be a table of settings, got {entry!r}")
    unknown = sorted(set(entry) - set(keys))
    if unknown:
        raise ValueError(f"{where} has no setting {unknown[0]!r}; accepted: {', '.join(keys)}")
    missing = [key for key, default in keys.items() if default is None and key not in entry]
    if missing:
        raise ValueError(f"{where} lacks the setting {missing[0]!r}")
    return {key: entry.get(key, copy.deepcopy(default)) for key, default in keys.items()}


def complete_recipe(recipe):
    """Check a recipe and fill in its defaults.

    Args:
        recipe: dict as read from ``recipe.json``.

    Returns:
        a new dict in which every setting is present.

    Raises:
        ValueError: an unknown, missing or senseless setting, named in one sentence.
    """
    recipe = _complete(recipe, _RECIPE_KEYS, "the recipe")
    if recipe["format_version"] != 1:
        raise ValueError(f"recipe format {recipe['format_version']!r} is not known to this version; accepted: 1")
    if recipe["precision"] not in PRECISIONS:
        raise ValueError(f"precision {recipe['precision']!r} is not known; accepted: {', '.join(PRECISIONS)}")
    recipe["data"] = _complete(recipe["data"], _DATA_KEYS, "the recipe's data")
    kernels = recipe["data"]["kernels"]
    recipe["data"]["kernels"] = {
        kind: _complete(entry, _KERNEL_KEYS, f"the recipe's {kind} kernels") for kind, entry in kernels.items()
    }
    recipe["stages"] = [_complete(stage, _STAGE_KEYS, "a stage of the recipe") for stage in recipe["stages"]]
    names = [stage["name"] for stage in recipe["stages"]]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"a recipe needs stages with names of their own, got {names}")
    for stage in recipe["stages"]:
        steps, epoch = stage["steps"], recipe["steps_per_epoch"]
        if not isinstance(steps, int) or steps < 1 or steps % epoch:
            raise ValueError(
                f"stage {stage['name']!r}: steps must be a multiple of steps_per_epoch {epoch}, got {steps}"
            )
    if recipe["validate_every"] % recipe["steps_per_epoch"]:
        raise ValueError("validate_every must be a multiple of steps_per_epoch")
    return recipe


def read_recipe(path):
    """Read and check a recipe file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON, or not a recipe.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no recipe at {path}")
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    return complete_recipe(recipe)
