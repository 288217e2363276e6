"""Training runs on a tiny preset: what a step does, the same on both backends, and what a person is told."""

import errno
import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

from deblur_zoo.files import pictures
from deblur_zoo.files.folder_lock import only_process
from deblur_zoo.models.one_step import OneStep
from deblur_zoo.zoo import presets
from trainers.methods.method import weighted_sum
from trainers.methods.one_step import OneStepMethod
from trainers.runs.errors import CannotWrite, FolderInUse
from trainers.runs.preparation import build_models
from trainers.runs.record import git_revision
from trainers.runs.run import Run
from trainers.steps.schedule import Schedule
from trainers.steps.tensorflow_step import TensorFlowTrainer


def trainer_for(losses, optimizer, decay=0.9, peak=0.5):
    keras.utils.set_random_seed(3)
    arguments = {"width": 6, "reduced_width": 4, "modules": 1, "kernel_sizes": (1, 3)}
    trainer = TensorFlowTrainer(OneStep(**arguments), OneStep(**arguments), decay)
    trainer.start_stage(OneStepMethod(losses), optimizer, Schedule(peak=peak, steps=10, decay="constant"))
    return trainer


def test_one_sgd_step_by_hand():
    """The bias of the last convolution: its gradient and its moving average are worked out on paper."""
    trainer = trainer_for({"l2": 1.0}, keras.optimizers.SGD())
    rng = np.random.default_rng(0)
    blurred, sharp = rng.integers(0, 256, (2, 2, 8, 8, 3), dtype=np.uint8)
    estimate = ops.convert_to_numpy(trainer.model(blurred / np.float32(255), training=True))
    bias = trainer.model.last.weights[1]
    before = ops.convert_to_numpy(bias).copy()
    trainer.train_step((blurred, sharp))
    # d/db_c of the mean over N*H*W*3 values of (estimate - truth)^2, with rate 0.5.
    gradient = 2 * (estimate - sharp / 255).sum(axis=(0, 1, 2)) / estimate.size
    after = before - 0.5 * gradient
    np.testing.assert_allclose(ops.convert_to_numpy(bias), after, rtol=1e-5)
    # First step: decay min(0.9, 1 / 10), so nine tenths of the way.
    averaged = ops.convert_to_numpy(trainer.average.last.weights[1])
    np.testing.assert_allclose(averaged, 0.1 * before + 0.9 * after, rtol=1e-5)


def rows_of(folder):
    lines = (folder / "log.tsv").read_text().splitlines()
    return [dict(field.split("=") for field in line.split("\t")) for line in lines]


def test_stages_leave_a_full_record(finished, workplace):
    folder = workplace.folder / "whole"
    record = json.loads((folder / "run.json").read_text())
    assert record["faces"]["count"] == 6 and record["recipe"]["stages"][1]["name"] == "smooth"
    assert record["seed"] == 0 and record["precision"] == "float32" and record["devices"][0]
    assert record["distribution"] == {"kind": "none", "replicas": 1}
    assert record["kernel_banks"] == {"train": {"linear": 0}, "test": 0}
    # The first three of the six faces: other data than all of them.
    assert record["development"]["count"] == 3 and record["development"]["sha256"] != record["faces"]["sha256"]
    assert record["git_revision"] == git_revision()
    assert int(finished.trainer.step) == 10
    rows = rows_of(folder)
    assert [(row["stage"], row["step"]) for row in rows] == [
        ("content", "0"), ("content", "4"), ("content", "6"), ("smooth", "10")
    ]  # fmt: skip
    assert (folder / "best.weights.h5").exists()
    # Three faces, blurred | restored | sharp, under a caption.
    assert pictures.read(folder / "strip.png").shape == (14 + 3 * 34, 3 * 34 - 2, 3)
    assert (folder / "best_strip.png").exists()
    assert not list(folder.glob(".partial*"))


def test_git_revision_outside_a_checkout(tmp_path):
    assert git_revision(tmp_path) is None
    # Broken, or no git at hand: not known, and no reason to stop.
    (tmp_path / ".git").mkdir()
    assert git_revision(tmp_path) is None


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_the_same_run_under_jax(workplace):
    """The whole command on both backends, from the same weights: data, schedule, average, measurements agree."""
    start = build_models(presets.read_config(workplace.preset), "float32")[0]
    start.save_weights(workplace.folder / "start.weights.h5")
    recipe = workplace.recipe()
    recipe["stages"] = [{**recipe["stages"][0], "learning_rate": {"peak": 1.0, "decay": "constant"}}]
    flags = ["--preset", workplace.preset, "--faces", workplace.faces, "--development", workplace.faces]
    flags += ["--recipe", workplace.write_recipe("quick", recipe), "--development_faces", "2"]
    flags += ["--init_from", workplace.folder / "start.weights.h5"]
    for backend in ("tensorflow", "jax"):
        result = workplace.command(*flags, "--out", workplace.folder / backend, backend=backend)
        assert result.returncode == 0, result.stderr
        # Not on a terminal: a line an epoch.
        assert "step 4 of 6" in result.stdout and "left: 0:00:00 of the stage" in result.stdout
    for one, other in zip(workplace.weights("tensorflow"), workplace.weights("jax"), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    # The last kernel starts at zero and is the first to move.
    assert np.abs(workplace.weights("jax")[-2]).max() > 1e-3
    for one, other in zip(*(rows_of(workplace.folder / backend) for backend in ("tensorflow", "jax")), strict=True):
        # Before the first step there is no loss.
        for name in ("psnr", "psnr_gain", "sharp_in_psnr", "ssim", *(["loss"] if one["step"] != "0" else [])):
            assert float(one[name]) == pytest.approx(float(other[name]), abs=2e-4), name


def test_event_files_of_a_run(workplace):
    recipe = workplace.recipe()
    recipe["stages"] = [{**recipe["stages"][0], "steps": 2}]
    run = Run.prepare(workplace.flags("events", recipe=workplace.write_recipe("events", recipe), tensorboard=True))
    run.train(verbose=0)
    data = b"".join(path.read_bytes() for path in (workplace.folder / "events" / "tensorboard").iterdir())
    for tag in (b"train/l2", b"learning_rate/generator", b"validation/psnr", b"validation/ssim", b"validation/strip"):
        assert tag in data, tag


def test_facial_term_without_a_network_is_stated(workplace, capsys):
    recipe = workplace.recipe()
    recipe["stages"][1]["losses"]["facial"] = 0.1
    run = Run.prepare(workplace.flags("facial", recipe=workplace.write_recipe("facial", recipe)))
    assert "facial loss is disabled" in capsys.readouterr().err
    assert run.record["networks"] == []
    assert "facial" not in run.recipe["stages"][1]["losses"]


def test_facial_term_on_a_share_of_the_batch():
    def network(images):
        return ops.mean(images, axis=(1, 2))

    truth = np.zeros((4, 2, 2, 3), "float32")
    estimate = np.zeros((4, 2, 2, 3), "float32")
    estimate[:2] = [3, 0, 4]
    estimate[2:] = 100
    method = OneStepMethod({"l2": 1.0, "facial": 0.5}, networks={"identity": network}, facial_share=0.5)
    terms = method.terms({"sharp": truth}, {"restored": estimate}, None)
    # The first two images' features are 5 away; the others are not looked at.
    assert float(terms["facial"]) == pytest.approx(5.0, abs=1e-5)
    assert float(weighted_sum(method.weights, {"l2": 2.0, "facial": 5.0})) == pytest.approx(4.5)


def test_mixed_precision_trains_float32_variables(workplace):
    model, average = build_models(presets.read_config(workplace.preset), "mixed_bfloat16")
    assert model.inception[0].compute_dtype == "bfloat16"
    assert average.inception[0].compute_dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}


# Each is refused before anything is written.
REFUSED = [
    ([], "--preset is missing"),
    (["--preset", "one_step_lite", "--out", "x"], "--faces is missing"),
    (["--preset", "one_step_lite", "--out", "x", "--faces", "/nowhere"], "/nowhere"),
    (["--precision", "float8"], "float8"),
    (["stray"], "unexpected argument 'stray'"),
    (["--import_modules", "absent_module"], "absent_module cannot be imported"),
    (["--preset", "one_step_lite", "--out", "x", "--faces", ".", "--steps", "content=few"], "content=few"),
    (["--preset", "one_step_lite", "--out", "x", "--faces", ".", "--networks", "vgg"], "not name=value"),
]


@pytest.mark.parametrize("arguments,sentence", REFUSED)
def test_command_line_says_what_is_wrong(arguments, sentence, workplace, tmp_path):
    result = workplace.command(*arguments, folder=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "what,sentence",
    [
        ("empty", "no images"),
        ("small", "24x24"),
        ("steps", "is not stage=steps; the stages are content, smooth"),
        ("development", "no images"),
    ],
)
def test_data_and_recipes_that_cannot_be_used(what, sentence, workplace, tmp_path):
    """As above without a process each: the command turns these errors into its one sentence."""
    empty, small = tmp_path / "empty", tmp_path / "small"
    empty.mkdir()
    small.mkdir()
    Image.new("RGB", (24, 24)).save(small / "face.png")
    changes = {
        "empty": {"faces": [str(empty)]},
        "small": {"faces": [str(small)]},
        "steps": {"steps": {"contents": 2}},
        "development": {"development": str(empty)},
    }
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        Run.prepare(workplace.flags(tmp_path / "out", **changes[what]))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_another_trainer_works_in_is_refused(workplace):
    run = Run.prepare(workplace.flags("shared"))
    with (
        only_process(workplace.folder / "shared", ValueError()),
        pytest.raises(FolderInUse, match="another trainer .*shared"),
    ):
        run.train(verbose=0)
    assert {path.name for path in (workplace.folder / "shared").iterdir()} <= {".lock"}


def test_a_full_disk_ends_the_run_with_a_sentence(workplace, monkeypatch):
    run = Run.prepare(workplace.flags("full"))
    write = Path.write_bytes

    def full(path, content):
        if path.name.endswith("best.weights.h5"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CannotWrite, match="best.weights.h5 .*No space left"):
        run.train(verbose=0)
    assert not list((workplace.folder / "full").glob("*best.weights.h5"))
