import copy
import json
from pathlib import Path

import pytest

from deblur_zoo import zoo
from deblur_zoo.zoo import classes
from trainers.runs.preparation import resolve_recipe, stages_with_labels
from trainers.runs.recipe import complete_recipe, read_recipe

MINIMAL = {
    "format_version": 1,
    "method": "one_step",
    "steps_per_epoch": 10,
    "validate_every": 20,
    "data": {"kernels": {"linear": {"share": 1.0, "count": 4, "sizes": [9]}}},
    "stages": [
        {"name": "content", "steps": 20, "optimizer": "adam", "learning_rate": {"peak": 1e-3}, "losses": {"l2": 1}}
    ],
}


SHIPPED = sorted(zoo.hub_folder().glob("*/recipe.json")) + sorted(
    (Path(__file__).parents[3] / "trainers" / "recipes").glob("*/*.json")
)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shipped_recipe_holds_together(path):
    flags = {"recipe": str(path), "seed": None, "batch_size": None, "precision": None, "steps": None, "init_from": None}
    recipe = resolve_recipe(flags, path.parent)
    # Builds the method of each stage, which refuses terms and options that it does not know.
    assert set(stages_with_labels(recipe)) <= {stage["name"] for stage in recipe["stages"]}
    assert sum(entry["share"] for entry in recipe["data"]["kernels"].values()) == pytest.approx(1)
    for network in (recipe["critic"], recipe["auxiliary"]):
        assert network is None or network["class"] in {**classes.CLASSES, **classes.TRAINING_CLASSES}


def changed(path, value):
    recipe = copy.deepcopy(MINIMAL)
    *way, last = path
    entry = recipe
    for key in way:
        entry = entry[key]
    entry[last] = value
    return recipe


def test_defaults_are_filled_in_and_the_original_is_left_alone():
    before = copy.deepcopy(MINIMAL)
    recipe = complete_recipe(MINIMAL)
    assert MINIMAL == before
    assert recipe["batch_size"] == 16 and recipe["data"]["crop_size"] == 128
    assert recipe["stages"][0]["options"] == {} and recipe["stages"][0]["critic_optimizer"] == "adam"
    assert complete_recipe(recipe) == recipe


@pytest.mark.parametrize(
    "path,value,sentence",
    [
        (("learning_rat",), 1, "no setting 'learning_rat'"),
        (("format_version",), 2, "format 2"),
        (("precision",), "float8", "unknown precision 'float8'"),
        (("data", "kernels", "linear", "colour"), 1, "linear kernels has no setting 'colour'"),
        (("stages",), [], "needs stages"),
        (("stages", 0, "steps"), 0, "steps must be a whole number of at least 1, got 0"),
        (("stages", 0, "steps"), "many", "steps must be a whole number"),
        (("validate_every",), 25, "validate_every"),
        (("data",), 7, "must be a table"),
    ],
)
def test_refusals(path, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        complete_recipe(changed(path, value))


def test_missing_setting_is_named():
    recipe = copy.deepcopy(MINIMAL)
    del recipe["stages"][0]["losses"]
    with pytest.raises(ValueError, match="lacks the setting 'losses'"):
        complete_recipe(recipe)


def test_read_refuses_what_is_no_json(tmp_path):
    with pytest.raises(FileNotFoundError, match="no recipe"):
        read_recipe(tmp_path / "recipe.json")
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(ValueError, match="not a valid JSON file"):
        read_recipe(tmp_path / "recipe.json")


@pytest.mark.parametrize("preset", zoo.list_models(kind="deblurrer"))
def test_every_preset_carries_a_recipe_that_holds(preset):
    recipe = read_recipe(zoo.preset_folder(preset) / "recipe.json")
    assert json.loads(json.dumps(recipe)) == recipe


def test_going_on_from_trained_weights_warms_up(tmp_path):
    recipe = copy.deepcopy(MINIMAL)
    recipe["steps_per_epoch"] = recipe["validate_every"] = 100
    recipe["stages"] = [{**recipe["stages"][0], "name": name, "steps": 2000} for name in ("one", "two")]
    recipe["stages"][0]["learning_rate"] = {"peak": 0.1, "warmup": 30}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    flags = {"recipe": None, "seed": None, "batch_size": None, "precision": None, "steps": None, "init_from": None}
    stages = resolve_recipe(flags, tmp_path)["stages"]
    assert stages[0]["learning_rate"]["warmup"] == 30
    stages = resolve_recipe({**flags, "init_from": "one_step_lite"}, tmp_path)["stages"]
    assert stages[0]["learning_rate"]["warmup"] == stages[0]["critic_learning_rate"]["warmup"] == 250
    assert "warmup" not in stages[1]["learning_rate"]
    # Of a short stage no more than a quarter.
    stages = resolve_recipe({**flags, "init_from": "one_step_lite", "steps": {"one": 400}}, tmp_path)["stages"]
    assert stages[0]["learning_rate"]["warmup"] == 100


@pytest.mark.parametrize("rate", [{"peak": 0.1, "warmup": 5000}, {"peak": 0.1, "decay": "linear"}, {"peek": 0.1}])
def test_a_schedule_that_makes_no_sense_is_found_before_the_run(rate, tmp_path):
    recipe = copy.deepcopy(MINIMAL)
    recipe["stages"][0]["learning_rate"] = rate
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    flags = {"recipe": None, "seed": None, "batch_size": None, "precision": None, "steps": None, "init_from": None}
    with pytest.raises(ValueError, match=r"^stage '\w+': .*learning_rate"):
        resolve_recipe(flags, tmp_path)


CAMERA_KERNELS = {"linear": {"share": 1.0, "count": 4, "sizes": [3, 41]}}


def with_camera(camera):
    recipe = json.loads((zoo.hub_folder() / "one_step_lite" / "recipe.json").read_text())
    recipe["data"]["camera"] = camera
    return complete_recipe(recipe)


def test_camera_blur_has_its_defaults_and_survives_json():
    camera = with_camera({"share": 0.25, "kernels": CAMERA_KERNELS})["data"]["camera"]
    assert camera["share"] == 0.25 and camera["gain"] == [1.0, 1.2] and camera["kernels"]["linear"]["seed"] == 0
    assert json.loads(json.dumps(camera)) == camera
    assert with_camera(camera)["data"]["camera"] == camera


@pytest.mark.parametrize(
    ("camera", "sentence"),
    [
        ({"share": 0.5}, "the recipe's camera lacks the setting 'kernels'"),
        ({"kernels": CAMERA_KERNELS, "wobble": 1}, "camera has no setting 'wobble'; accepted: kernels, share, kinds"),
        ({"kernels": CAMERA_KERNELS, "jpeg": [0, 50]}, "jpeg .*1 to 100"),
        ({"kernels": CAMERA_KERNELS, "noise": 0.05}, "a setting of the wrong type"),
        ({"kernels": CAMERA_KERNELS, "share": "half"}, "a setting of the wrong type"),
        ({"kernels": CAMERA_KERNELS, "kinds": ["turning"]}, "table"),
    ],
)
def test_camera_blur_that_is_none(camera, sentence):
    with pytest.raises(ValueError, match=sentence):
        with_camera(camera)
