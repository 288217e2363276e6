"""``trainers.train``: its options, runs of any length, and a run's folder as a model."""

import ast
import inspect
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import deblur_zoo
import trainers
from deblur_zoo import zoo
from trainers.runs import callbacks
from trainers.runs.errors import CannotStart
from trainers.runs.preparation import digest, resolve_recipe
from trainers.runs.recipe import complete_recipe, without_later_settings
from trainers.runs.run_log import read_rows


def train(workplace, out, **options):
    given = {"faces": workplace.faces, "development": workplace.faces, "development_faces": 2, "verbose": 0, **options}
    return trainers.train(workplace.preset, out=out, **given)


def checkpoint_of(folder):
    with np.load(folder / "checkpoint.npz") as content:
        return {name: content[name] for name in content.files if name not in ("progress", "sha256")}


@pytest.fixture(scope="module")
def short(workplace, tmp_path_factory):
    """A run of 5 steps in epochs of 2: a shorter epoch at the end of both stages."""
    folder = tmp_path_factory.mktemp("short") / "run"
    assert train(workplace, str(folder), steps={"content": 5, "smooth": 1}) == folder
    return folder


def test_a_run_of_any_number_of_steps_is_measured_before_the_first_and_after_the_last(short):
    rows = read_rows(short / "log.tsv")
    assert [(row["stage"], row["step"]) for row in rows] == [
        ("content", "0"), ("content", "4"), ("content", "5"), ("smooth", "6")
    ]  # fmt: skip
    assert "loss" not in rows[0] and float(rows[0]["psnr"]) > 0
    progress = json.loads((short / "progress.json").read_text())
    assert progress["before"] == pytest.approx(float(rows[0]["psnr"]), abs=1e-5)
    assert progress["best"] == pytest.approx(max(float(row["psnr"]) for row in rows), abs=1e-5)


def test_epochs_of_another_length_train_the_same(short, workplace, tmp_path):
    """The shorter epoch goes on with the samples that come next."""
    recipe = {**workplace.recipe(), "steps_per_epoch": 1, "validate_every": 4}
    path = workplace.write_recipe("single_steps", recipe)
    train(workplace, tmp_path / "run", recipe=path, steps={"content": 5, "smooth": 1}, development=None)
    one, other = checkpoint_of(short), checkpoint_of(tmp_path / "run")
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_run_with_shorter_epochs_resumes(epochs, short, workplace, tmp_path, monkeypatch):
    save, saved = callbacks.save_checkpoint, []

    def interrupted(*arguments):
        save(*arguments)
        saved.append(1)
        if len(saved) == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks, "save_checkpoint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(workplace, tmp_path / "run", steps={"content": 5, "smooth": 1})
    monkeypatch.undo()
    train(workplace, tmp_path / "run", steps={"content": 5, "smooth": 1})
    one, other = checkpoint_of(short), checkpoint_of(tmp_path / "run")
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-6, err_msg=name)
    seen = [[row["step"] for row in read_rows(folder / "log.tsv")] for folder in (short, tmp_path / "run")]
    assert seen[0] == seen[1]


def test_the_gain_is_said_at_the_end(workplace, tmp_path, capsys):
    train(workplace, tmp_path / "run", steps={"content": 1, "smooth": 0}, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("stage content  step 0  ") for line in lines)
    assert any("step 1 of 1" in line for line in lines)
    assert lines[-1].startswith("psnr: ") and "before the first step, best" in lines[-1]


def test_a_runs_folder_gives_its_best_weights(short, workplace, tmp_path):
    model = deblur_zoo.load(short)
    assert model.name == "run" and type(model).__name__ == "OneStep"
    model.load_weights(short / "best.weights.h5")
    for one, other in zip(deblur_zoo.load(str(short)).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert type(model).from_preset(short).name == "run"
    # As a preset, its folder can be described, exported, and trained from.
    assert "float32" in str(deblur_zoo.describe(short))
    zoo.load_initial_weights(deblur_zoo.load(short, weights=False), short)
    # A damaged file is still found.
    shutil.copytree(short, tmp_path / "damaged")
    (tmp_path / "damaged" / "best.weights.h5").write_bytes(b"half")
    with pytest.raises(ValueError, match="damaged"):
        deblur_zoo.load(tmp_path / "damaged")


def test_a_run_without_weights_yet_says_so(short, tmp_path):
    shutil.copytree(short, tmp_path / "run")
    (tmp_path / "run" / "best.weights.h5").unlink()
    with pytest.raises(ValueError, match="training run.*first measurement"):
        deblur_zoo.load(tmp_path / "run")
    assert deblur_zoo.load(tmp_path / "run", weights=False).name == "run"
    record = json.loads((short / "run.json").read_text())
    del record["model"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="earlier version.*training command"):
        deblur_zoo.load(tmp_path / "run")


def test_a_run_without_development_faces_gives_its_last_weights(workplace, tmp_path):
    train(workplace, tmp_path / "mine", steps={"content": 1, "smooth": 0}, development=None)
    model = deblur_zoo.load(tmp_path / "mine")
    model.load_weights(tmp_path / "mine" / "last.weights.h5")
    for one, other in zip(deblur_zoo.load(tmp_path / "mine").get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    (tmp_path / "mine" / "last.weights.h5").unlink()
    with pytest.raises(ValueError, match="training run.*development faces"):
        deblur_zoo.load(tmp_path / "mine")


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"faces": []}, "faces"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"development_faces": 1.5}, "development_faces must be"),
        ({"seed": "1"}, "seed must be"),
        ({"pairs_share": 2}, "pairs_share must be 0 to 1"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": {"content": 2.5}}, "content=2.5"),
        ({"steps": {"other": 5}}, "the stages are content, smooth"),
        ({"precision": "float8"}, "float8"),
        ({"distribution": "somehow"}, "somehow"),
        ({"init_parts": {"nose": "one_step_lite"}}, "nose"),
        ({"networks": {"vgg": "x.h5"}}, "vgg"),
    ],
)
def test_options_that_cannot_be_used(changes, words, workplace, tmp_path):
    with pytest.raises(CannotStart, match=words):
        train(workplace, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "canary"},
        {"method": "canary.Method"},
        {"critic": {"class": "canary>Net"}},
        {"auxiliary": {"class": "canary.Net"}},
        {"critic": {"class": "PatchCritic", "arguments": {"width": {"module": "canary", "class_name": "Net"}}}},
        {"stages": [{"optimizer": {"module": "canary", "class_name": "Net", "config": {}}}]},
        {"stages": [{"optimizer": {"class_name": "canary>Net", "config": {}}}]},
    ],
    ids=str,
)
def test_a_recipe_from_elsewhere_imports_nothing(changes, workplace, tmp_path, monkeypatch):
    (tmp_path / "canary.py").write_text('raise SystemExit("the canary was imported")\n')
    monkeypatch.syspath_prepend(tmp_path)
    recipe = workplace.recipe()
    for stage, change in zip(recipe["stages"], changes.get("stages", []), strict=False):
        stage.update(change)
    recipe.update({name: value for name, value in changes.items() if name != "stages"})
    with pytest.raises(CannotStart, match="canary"):
        train(workplace, tmp_path / "run", recipe=workplace.write_recipe("canary", recipe))
    assert "canary" not in sys.modules and not (tmp_path / "run").exists()


def steps_of(workplace, steps):
    recipe = resolve_recipe(workplace.flags("any", steps=steps), workplace.preset)
    return {stage["name"]: stage["steps"] for stage in recipe["stages"]}


def test_steps_of_the_whole_run_are_shared_as_the_recipes_are(workplace):
    # The recipe has 6 and 4.
    assert steps_of(workplace, None) == {"content": 6, "smooth": 4}
    assert steps_of(workplace, 100) == {"content": 60, "smooth": 40}
    assert steps_of(workplace, 7) == {"content": 4, "smooth": 3}
    assert steps_of(workplace, 1) == {"smooth": 1}
    assert steps_of(workplace, {"content": 3}) == {"content": 3, "smooth": 4}


def test_a_stage_that_is_shorter_than_its_warmup_has_a_shorter_one(workplace, tmp_path):
    recipe = workplace.recipe()
    for stage in recipe["stages"]:
        stage["learning_rate"] = {"peak": 0.05, "warmup": 4}
    flags = workplace.flags("any", recipe=workplace.write_recipe("warm", recipe))
    for steps, warmup in ((None, 4), ({"content": 4}, 4), ({"content": 3}, 0), ({"content": 2}, 0)):
        stage = resolve_recipe({**flags, "steps": steps}, workplace.preset)["stages"][0]
        assert stage["learning_rate"]["warmup"] == stage["critic_learning_rate"]["warmup"] == warmup


def test_a_recipes_digest_is_what_earlier_versions_made_of_it(workplace):
    """A run that they began is resumed only if it is."""
    recipe = without_later_settings(complete_recipe(workplace.recipe()))
    assert digest(recipe) == "7e83660f245afcd75ab64b4dc6adf242ddda1d1cf93e708a5fa331927c563487"


def test_the_command_has_a_flag_for_every_option():
    # Importing it would define its flags beside those of other commands.
    source = (Path(trainers.__file__).parent / "__main__.py").read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    flags = [call.args[0].value for call in calls if getattr(call.func, "attr", "").startswith("DEFINE_")]
    assert set(flags) == set(inspect.signature(trainers.train).parameters)
