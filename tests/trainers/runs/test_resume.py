"""Runs that were killed, met a full disk or a damaged file go on as if nothing had happened, or say why they do not."""

import errno
import importlib.util
import json
import shutil
import signal

import numpy as np
import pytest

from trainers.runs.checkpoint import read_checkpoint, save_checkpoint, save_weights
from trainers.runs.errors import CannotWrite, DamagedCheckpoint, NonFiniteLoss, OtherRun
from trainers.runs.run import Run

RATES = {"peak": 0.02, "decay": "exponential", "rate": 0.5, "every": 2}
STAGE = {"steps": 3, "optimizer": "adam", "learning_rate": RATES}
# Everything that has a state: critic and auxiliary network, dropout, loss scale, plateau, several stages.
RECIPE = {
    "format_version": 1,
    "method": "tiny",
    "batch_size": 2,
    "average": 0.9,
    "precision": "mixed_float16",
    "steps_per_epoch": 1,
    "validate_every": 1,
    "critic": {"class": "tests>Critic"},
    "auxiliary": {"class": "tests>Confidence"},
    "data": {"crop_size": 32, "kernels": {"linear": {"share": 1.0, "count": 4, "sizes": [9]}}},
    "stages": [
        {"name": "wasserstein", **STAGE, "halve_after": 1, "critic_steps": 2,
         "losses": {"l1": 1.0, "confident": 0.5, "adversarial": 0.1},
         "critic_losses": {"critic": 1.0, "gradient_penalty": 10.0}},
        {"name": "sigmoid", **STAGE, "options": {"kind": "sigmoid"}, "train": ["first", "auxiliary"],
         "losses": {"l1": 1.0, "confident": 0.5, "adversarial": 0.1}, "critic_losses": {"critic": 1.0}},
    ],
}  # fmt: skip
JAX = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")


def arrays_of(path):
    with np.load(path) as content:
        return {name: content[name] for name in content.files if name not in ("sha256", "progress")}


def log_of(path):
    """The log's lines without their times."""
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return [[field for field in row if not field.startswith("seconds=")] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=JAX)])
def test_killed_and_resumed_equals_uninterrupted(backend, workplace):
    preset = workplace.folder / f"noisy_{backend}"
    preset.mkdir()
    config = {"format_version": 1, "name": "noisy", "kind": "deblurrer", "class": "tests>Noisy", "arguments": {}}
    (preset / "config.json").write_text(json.dumps(config))
    (preset / "recipe.json").write_text(json.dumps(RECIPE))
    flags = ["--preset", preset, "--faces", workplace.faces, "--development", workplace.faces]
    flags += ["--development_faces", "2", "--verbose", "0"]

    def run(accident, out):
        script = [str(workplace.tests / "run_on_backend.py")]
        return workplace.command(accident, out, *flags, script=script, backend=backend)

    out, whole = workplace.folder / f"killed_{backend}", workplace.folder / f"whole_{backend}"
    first = run("half_written", out)
    assert first.returncode == -signal.SIGKILL, first.stderr
    # What was being written lies beside, under a name that nothing reads.
    assert len(list(out.glob(".partial-*"))) == 1
    assert read_checkpoint(out / "checkpoint.npz").step == 1

    second = run("full_disk_then_between", out)
    assert second.returncode == -signal.SIGKILL, second.stderr
    assert "full disk: 2" in second.stdout
    sentence = [line for line in second.stderr.splitlines() if "cannot be written" in line]
    assert len(sentence) == 1 and "the last good checkpoint is kept" in sentence[0]
    assert "Traceback" not in second.stderr
    assert not (out / "checkpoint.npz").exists()
    assert read_checkpoint(out / "checkpoint.npz").step == 2

    for folder in (out, whole):
        finished = run("none", folder)
        assert finished.returncode == 0, finished.stderr
        assert ("Resuming at step 2" in finished.stdout) == (folder == out)
    one, other = arrays_of(whole / "checkpoint.npz"), arrays_of(out / "checkpoint.npz")
    assert sorted(one) == sorted(other)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-6, rtol=0, err_msg=name)
    assert int(one["step/0"]) == 6
    assert log_of(whole / "log.tsv") == log_of(out / "log.tsv")
    # One before the first step.
    assert len(log_of(whole / "log.tsv")) == 7


@pytest.fixture
def copied(finished, workplace, tmp_path):
    """A copy of the finished run's folder; the last stage's end is its newest checkpoint, at step 10."""
    shutil.copytree(workplace.folder / "whole", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def own(copied, workplace):
    """A run that has come to its end, to be changed."""
    run = Run.prepare(workplace.flags(copied))
    run.train(verbose=0)
    return run


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def alter(path):
    """Change one weight and leave a valid file: only a checksum of the content notices."""
    with np.load(path) as content:
        arrays = {name: content[name] for name in content.files}
    arrays["model/0"] = arrays["model/0"] + np.float32(1e-3)
    np.savez(path, **arrays)


@pytest.mark.parametrize("damage", [truncate, alter, lambda path: path.write_bytes(b"")])
def test_damaged_checkpoint_gives_way_to_the_one_before(damage, copied, capsys):
    damage(copied / "checkpoint.npz")
    stored = read_checkpoint(copied / "checkpoint.npz")
    assert stored.step == 8 and stored.progress["stage"] == "smooth"
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "truncated" in said[0] and "after step 8" in said[0]
    # It has taken the damaged one's place, so that the next write does not push the damage over it.
    assert read_checkpoint(copied / "checkpoint.npz").step == 8
    assert not (copied / "checkpoint.previous.npz").exists()
    damage(copied / "checkpoint.npz")
    with pytest.raises(DamagedCheckpoint, match="no other"):
        read_checkpoint(copied / "checkpoint.npz")


def test_going_on_from_the_one_before_ends_where_the_whole_run_does(copied, workplace):
    truncate(copied / "checkpoint.npz")
    (copied / "last.weights.h5").unlink()
    Run.prepare(workplace.flags(copied)).train(verbose=0)
    for one, other in zip(workplace.weights("whole"), workplace.weights(copied), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert log_of(copied / "log.tsv") == log_of(workplace.folder / "whole" / "log.tsv")


def test_every_variable_comes_back(own, tmp_path):
    path, before = tmp_path / "checkpoint.npz", own.trainer.model.get_weights()
    save_checkpoint(path, own.trainer, {"stage": "smooth"})
    own.trainer.model.set_weights([value + 1 for value in before])
    stored = read_checkpoint(path)
    assert stored.progress == {"stage": "smooth"}
    stored.restore(own.trainer)
    for one, other in zip(before, own.trainer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # Another stage has another optimiser.
    own.start_stage(own.recipe["stages"][0])
    with pytest.raises(OtherRun, match="does not fit"):
        stored.restore(own.trainer)


def test_weights_that_are_not_finite_are_not_written(own, tmp_path):
    path, weights = tmp_path / "own" / "checkpoint.npz", own.trainer.model.get_weights()
    path.parent.mkdir()
    save_checkpoint(path, own.trainer, {})
    before = path.read_bytes()
    own.trainer.model.set_weights([weights[0] * np.nan, *weights[1:]])
    with pytest.raises(NonFiniteLoss, match="not finite after step 10"):
        save_checkpoint(path, own.trainer, {})
    assert path.read_bytes() == before and [entry.name for entry in path.parent.iterdir()] == ["checkpoint.npz"]


def test_full_disk_while_weights_are_written(finished, tmp_path):
    """The disk is full after half of the file."""

    def half(path, content):
        with path.open("wb") as file:
            file.write(content[:4])
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "best.weights.h5").write_bytes(b"good")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", half)
        with pytest.raises(CannotWrite, match=r"best\.weights\.h5 .*No space left"):
            save_weights(finished.trainer.average, tmp_path / "best.weights.h5")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("best.weights.h5", b"good")]


def test_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(workplace):
    recipe = workplace.recipe()
    recipe["stages"][1]["learning_rate"] = {"peak": 1e30, "decay": "constant"}
    recipe["stages"][1]["optimizer"] = "sgd"
    run = Run.prepare(workplace.flags("explosive", recipe=workplace.write_recipe("explosive", recipe)))
    with pytest.raises(NonFiniteLoss, match="the last good checkpoint is kept"):
        run.train(verbose=0)
    stored = read_checkpoint(workplace.folder / "explosive" / "checkpoint.npz")
    assert stored.progress["stage"] == "content" and stored.step == 6
    assert all(np.all(np.isfinite(array)) for array in stored.arrays.values())


def test_a_folder_with_a_run_of_another_recipe_is_refused(finished, workplace):
    whole = workplace.folder / "whole"
    checkpoint = (whole / "checkpoint.npz").read_bytes()
    result = workplace.command(
        "--preset", workplace.preset, "--faces", workplace.faces, "--out", whole, "--steps", "smooth=0"
    )
    assert result.returncode == 2
    assert "holds a run at stage 'smooth'" in result.stderr.strip().splitlines()[-1]
    assert (whole / "checkpoint.npz").read_bytes() == checkpoint
