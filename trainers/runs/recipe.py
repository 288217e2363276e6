"""Recipes: how a preset is trained, as data. A recipe travels with its preset as ``recipe.json``.

An ablation is a recipe that names another one as its ``base`` and lists the changes: settings are replaced, tables are
merged, null removes an entry, and only the listed stages are kept, in that order.
"""

import copy
import json
from dataclasses import asdict, fields
from pathlib import Path

from deblur_zoo.data.camera_blur import CameraBlur
from deblur_zoo.files.json_files import read_object
from deblur_zoo.zoo.classes import check_no_modules

REQUIRED = object()
# Every key that a recipe may have, with its default.
_RECIPE_KEYS = {
    "format_version": REQUIRED,
    "method": REQUIRED,
    "note": "",
    "arguments": {},
    "seed": 0,
    "batch_size": 16,
    "precision": "float32",
    "average": 0.999,
    "steps_per_epoch": 250,
    "validate_every": 1000,
    "critic": None,
    "auxiliary": None,
    "networks": {},
    "data": REQUIRED,
    "stages": REQUIRED,
}
_DATA_KEYS = {
    "crop_size": 128,
    "noise": 0.01,
    "unblurred_share": 0.0,
    "augmentation": {},
    "kernels": REQUIRED,
    "pairs_share": 0.0,
    "camera": None,
}
_STAGE_KEYS = {
    "name": REQUIRED,
    "steps": REQUIRED,
    "optimizer": REQUIRED,
    "learning_rate": REQUIRED,
    "losses": REQUIRED,
    "halve_after": 0,
    "train": None,
    "options": {},
    "augmentation": {},
    "pairs_share": None,
    "critic_losses": {},
    "critic_optimizer": None,
    "critic_learning_rate": None,
    "critic_steps": 1,
}
# What data.camera needs beside the settings of CameraBlur, which have their defaults there.
_CAMERA_KEYS = {"kernels": REQUIRED, **{field.name: None for field in fields(CameraBlur)}}
_NETWORK_KEYS = {"class": REQUIRED, "arguments": {}}
_KERNEL_KEYS = {"share": REQUIRED, "count": REQUIRED, "sizes": REQUIRED, "seed": 0}
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def _complete(entry, keys, where):
    if not isinstance(entry, dict):
        raise ValueError(f"{where} must be a table of settings, got {entry!r}")
    unknown = sorted(set(entry) - set(keys))
    if unknown:
        raise ValueError(f"{where} has no setting {unknown[0]!r}; accepted: {', '.join(keys)}")
    missing = [key for key, default in keys.items() if default is REQUIRED and key not in entry]
    if missing:
        raise ValueError(f"{where} lacks the setting {missing[0]!r}")
    return {key: entry[key] if key in entry else copy.deepcopy(default) for key, default in keys.items()}


def _complete_kernels(kernels):
    return {kind: _complete(entry, _KERNEL_KEYS, f"the recipe's {kind} kernels") for kind, entry in kernels.items()}


def _complete_camera(camera):
    where = "the recipe's camera"
    camera = _complete(camera, _CAMERA_KEYS, where)
    kernels = _complete_kernels(camera.pop("kernels"))
    try:
        settings = CameraBlur(**{name: value for name, value in camera.items() if value is not None})
    except TypeError as error:
        raise ValueError(f"{where} has a setting of the wrong type: {error}") from None
    # As JSON gives it back: a run compares its recipe with the one that it began with.
    return {**json.loads(json.dumps(asdict(settings))), "kernels": kernels}


def complete_recipe(recipe):
    """Check a recipe and fill in its defaults.

    Args:
        recipe: dict as read from ``recipe.json``.

    Returns:
        a new dict in which every setting is present.

    Raises:
        ValueError: an unknown, missing or invalid setting.
    """
    recipe = _complete(recipe, _RECIPE_KEYS, "the recipe")
    if recipe["format_version"] != 1:
        raise ValueError(f"unknown recipe format {recipe['format_version']!r}; accepted: 1")
    if recipe["precision"] not in PRECISIONS:
        raise ValueError(f"unknown precision {recipe['precision']!r}; accepted: {', '.join(PRECISIONS)}")
    recipe["data"] = _complete(recipe["data"], _DATA_KEYS, "the recipe's data")
    recipe["data"]["kernels"] = _complete_kernels(recipe["data"]["kernels"])
    if recipe["data"]["camera"] is not None:
        recipe["data"]["camera"] = _complete_camera(recipe["data"]["camera"])
    for name in ("critic", "auxiliary"):
        if recipe[name] is not None:
            recipe[name] = _complete(recipe[name], _NETWORK_KEYS, f"the recipe's {name}")
    recipe["stages"] = [_complete(stage, _STAGE_KEYS, "a stage of the recipe") for stage in recipe["stages"]]
    names = [stage["name"] for stage in recipe["stages"]]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"a recipe needs stages with distinct names, got {names}")
    for stage in recipe["stages"]:
        if not isinstance(stage["steps"], int) or stage["steps"] < 1:
            raise ValueError(
                f"stage {stage['name']!r}: steps must be a whole number of at least 1, got {stage['steps']!r}"
            )
        # The critic learns as the generator does unless the recipe says otherwise.
        stage["critic_optimizer"] = stage["critic_optimizer"] or copy.deepcopy(stage["optimizer"])
        stage["critic_learning_rate"] = stage["critic_learning_rate"] or copy.deepcopy(stage["learning_rate"])
        if not stage["critic_losses"]:
            stage["critic_steps"] = 1
        if not isinstance(stage["critic_steps"], int) or stage["critic_steps"] < 1:
            raise ValueError(f"stage {stage['name']!r}: critic_steps must be at least 1, got {stage['critic_steps']!r}")
    if recipe["validate_every"] % recipe["steps_per_epoch"]:
        raise ValueError("validate_every must be a multiple of steps_per_epoch")
    return recipe


def without_later_settings(recipe):
    """A complete recipe without later additions to the format that are at their defaults.

    Digests are computed from it, so that runs of earlier versions can be resumed.
    """
    recipe = copy.deepcopy(recipe)
    for table, keys in ((recipe["data"], _DATA_KEYS), *((stage, _STAGE_KEYS) for stage in recipe["stages"])):
        for name in ("pairs_share", "camera"):
            if name in table and table[name] == keys[name]:
                del table[name]
    return recipe


def read_recipe(path):
    """Read and check a recipe file, merged with its base.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: not JSON, or not a recipe.
    """
    recipe = _read_with_base(Path(path), ())
    check_no_modules(recipe, f"the recipe {path}")
    return complete_recipe(recipe)


def _read_with_base(path, readers):
    if not path.is_file():
        raise FileNotFoundError(f"no recipe at {path}")
    if path.resolve() in readers:
        raise ValueError(f"the recipe {path} is its own base")
    try:
        recipe = read_object(path)
    except ValueError as error:
        raise ValueError(f"the recipe {path} is not a valid JSON file: {error}") from None
    if "base" not in recipe:
        return recipe
    base = _read_with_base(path.parent / str(recipe.pop("base")), (*readers, path.resolve()))
    return _with_changes(base, recipe)


def _with_changes(base, changes):
    """A copy of the base with the changes merged in."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if key == "stages" and isinstance(value, list):
            stages = {stage["name"]: stage for stage in base["stages"]}
            unknown = [stage.get("name") for stage in value if stage.get("name") not in stages]
            if unknown:
                raise ValueError(f"the recipe changes a stage {unknown[0]!r}; its base has {', '.join(stages)}")
            result[key] = [_with_changes(stages[stage["name"]], stage) for stage in value]
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _with_changes(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result
